//! What a container's network costs, in a namespace of its own: set-up and tear-down, port maps, names.
//!
//! `cargo run --profile fast -p gantry-network --example measure [rounds]`, as root. Prints medians, minima and maxima;
//! `bench/network` runs it beside the programs it replaces.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_names::ContainerId;
use gantry_netlink::{Namespace, Service, Socket};
use gantry_network::{
    Config, EndpointSpec, HostPort, Memory, NetworkSpec, Networks, PortBinding, Protocol, SandboxSpec, dns,
};

fn show(what: &str, mut samples: Vec<Duration>) {
    samples.sort();
    let at = |part: usize| samples[(samples.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!(
        "{what:<46} median {:8.3} ms  min {:8.3}  p99 {:8.3}  max {:8.3}",
        at(50),
        at(0),
        at(99),
        at(100)
    );
}

fn timed<T>(samples: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = work();
    samples.push(start.elapsed());
    value
}

fn spec(name: String, ports: Vec<PortBinding>) -> SandboxSpec {
    SandboxSpec {
        container: ContainerId::random(),
        name,
        mode: Default::default(),
        hostname: "bench".into(),
        domainname: String::new(),
        dns: Default::default(),
        extra_hosts: Vec::new(),
        ports,
        heir_of: None,
        files: None,
    }
}

fn endpoint(network: &str) -> [EndpointSpec; 1] {
    [EndpointSpec { network: network.into(), ..EndpointSpec::default() }]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    let host = Namespace::fresh()?;
    host.run(|| {
        if let Err(error) = measure(rounds) {
            eprintln!("{error}");
        }
        Ok(())
    })?;
    Ok(())
}

fn measure(rounds: usize) -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("gantry-measure-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let networks =
        Networks::open(Config::new(dir.clone(), runtime.handle().clone()), Arc::new(Memory::default()))?;
    let app = NetworkSpec { name: "app".into(), ..NetworkSpec::default() };
    networks.create(app)?;
    lives(&networks, "bridge", rounds, 0)?;
    lives(&networks, "bridge", rounds, 1)?;
    lives(&networks, "app", rounds, 1)?;
    port_maps(&networks)?;
    names(&networks, rounds * 20)?;
    networks.shutdown(true)?;
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// Whole lives of containers on a network.
fn lives(
    networks: &Networks,
    network: &str,
    rounds: usize,
    ports: u16,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut sandbox, mut connect, mut remove) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let binding = (0..ports).map(|at| PortBinding {
            protocol: Protocol::Tcp,
            container_port: 80 + at,
            count: 1,
            host_ip: None,
            host_port: HostPort::Any,
        });
        let spec = spec(format!("c{round}"), binding.collect());
        let id = spec.container.clone();
        timed(&mut sandbox, || networks.create_sandbox(spec))?;
        timed(&mut connect, || networks.connect(&id, &endpoint(network)))?;
        timed(&mut remove, || networks.remove_sandbox(&id))?;
    }
    show(&format!("{network}, {ports} ports: namespace"), sandbox);
    show(&format!("{network}, {ports} ports: connect"), connect);
    show(&format!("{network}, {ports} ports: remove"), remove);
    Ok(())
}

/// Runs of ports of several lengths, kept and shifted.
fn port_maps(networks: &Networks) -> Result<(), Box<dyn std::error::Error>> {
    for (what, host, container, count) in [
        ("1 port", 8080, 80, 1),
        ("1,000 ports", 20000, 20000, 1000),
        ("10,000 ports", 20000, 20000, 10_000),
        ("10,000 shifted ports", 20000, 30000, 10_000),
    ] {
        let mut samples = Vec::new();
        for _ in 0..10 {
            let binding = PortBinding {
                protocol: Protocol::Udp,
                container_port: container,
                count,
                host_ip: None,
                host_port: HostPort::From(host),
            };
            let spec = spec("ports".into(), vec![binding]);
            let id = spec.container.clone();
            networks.create_sandbox(spec)?;
            timed(&mut samples, || networks.connect(&id, &endpoint("bridge")))?;
            networks.remove_sandbox(&id)?;
        }
        show(&format!("connect with {what}, UDP"), samples);
    }
    // The element alone, without a container around it.
    let mut socket = Socket::open(Service::Netfilter)?;
    let mut samples = Vec::new();
    for port in 1..=500u16 {
        use gantry_netlink::nft::{Batch, Data, Element, set::Value};
        let address = "172.17.0.9".parse()?;
        let key = Data::new().protocol(6).port(port);
        let element = Element::key(key).gives(Value::Data(Data::new().address(address).port(port)));
        let mut batch = Batch::new();
        batch.add_elements(gantry_network::firewall::rules::TABLE, "port4_any", &[element]);
        timed(&mut samples, || socket.commit(batch))?;
    }
    show("one element in the port map", samples);
    Ok(())
}

/// Questions about a container, from another.
fn names(networks: &Networks, rounds: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut ids = Vec::new();
    for round in 0..20 {
        let spec = spec(format!("c{round}"), Vec::new());
        ids.push(spec.container.clone());
        networks.create_sandbox(spec)?;
        networks.connect(&ids[round], &endpoint("app"))?;
    }
    let path = networks.sandbox(&ids[0]).and_then(|sandbox| sandbox.path).ok_or("no sandbox")?;
    let socket = Namespace::at(&path)?.run(|| {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect("127.0.0.11:53")?;
        Ok(socket)
    })?;
    let mut samples = Vec::new();
    let mut buffer = [0; 512];
    for round in 0..rounds {
        let question = dns::message::question(round as u16, &format!("c{}", round % 20), dns::message::A);
        timed(&mut samples, || socket.send(&question).and_then(|_| socket.recv(&mut buffer)))?;
    }
    show("a name answered", samples);
    for id in ids {
        networks.remove_sandbox(&id)?;
    }
    Ok(())
}
