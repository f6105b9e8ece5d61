//! Machines made of network namespaces: a host that runs the network owner, and a client beside it on one wire.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_names::ContainerId;
use gantry_netlink::link::Kind;
use gantry_netlink::{Address, LinkChange, Namespace, NewLink, Place, Route, Service, Socket};
use gantry_network::{
    Config, Endpoint, EndpointSpec, HostPort, Memory, Network, NetworkSpec, Networks, PortBinding, Protocol,
    Records, SandboxFiles, SandboxSpec,
};

/// The host's address on the wire.
pub const HOST: &str = "192.168.77.1";
/// The client's.
pub const CLIENT: &str = "192.168.77.2";
/// A connection that is dropped is given up after this; one that is refused or made is told at once. Longer than TCP's
/// first second: a busy machine may lose a frame.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A host, a client, a wire, and the host's network owner.
pub struct World {
    pub networks: Arc<Networks>,
    pub records: Arc<Memory>,
    pub client: Namespace,
    pub dir: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.networks.shutdown(true);
        for entry in std::fs::read_dir(self.dir.path().join("netns")).into_iter().flatten().flatten() {
            let _ = Namespace::unmount(&entry.path());
        }
    }
}

/// Runs a test on a host of its own, with the default settings.
pub fn on_host(body: impl FnOnce(&World) + Send) {
    on_host_with(|_| {}, body);
}

/// Runs a test on a host of its own.
pub fn on_host_with(settings: impl FnOnce(&mut Config) + Send, body: impl FnOnce(&World) + Send) {
    let host = Namespace::fresh().unwrap();
    host.run(|| {
        let client = Namespace::fresh()?;
        wire(&client)?;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("resolv.conf"), "nameserver 127.0.0.53\nsearch lan\n").unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let records = Arc::new(Memory::default());
        let mut config = config(dir.path(), &runtime);
        settings(&mut config);
        let networks = Networks::open(config, Arc::clone(&records) as Arc<dyn Records>).unwrap();
        body(&World { networks, records, client, dir, runtime });
        Ok(())
    })
    .unwrap();
}

pub fn config(dir: &Path, runtime: &tokio::runtime::Runtime) -> Config {
    let mut config = Config::new(dir.to_owned(), runtime.handle().clone());
    config.resolv_conf = dir.join("resolv.conf");
    config
}

/// The client's loopback stays down, so that it can send to 127.0.0.1 over the wire like an attacker.
fn wire(client: &Namespace) -> gantry_netlink::Result<()> {
    // Nobody else is on this wire: link-local addresses need not be tried out for a second first.
    let settle = || Ok(std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")?);
    settle()?;
    client.run(settle)?;
    let mut here = Socket::open(Service::Route)?;
    here.change_link(1, &LinkChange::up())?;
    let peer = NewLink { name: "eth0".into(), place: Place::of(client), ..NewLink::default() };
    let link = NewLink {
        name: "lan0".into(),
        kind: Some(Kind::Veth(Box::new(peer))),
        up: true,
        ..NewLink::default()
    };
    let index = here.create_link(&link)?;
    here.add_address(&Address { link: index, address: ip(HOST), length: 24 })?;
    here.add_address(&Address { link: index, address: ip("fd77::1"), length: 64 })?;
    let mut there = client.open_socket(Service::Route)?;
    let eth0 = there.link("eth0")?.unwrap().index;
    there.add_address(&Address { link: eth0, address: ip(CLIENT), length: 24 })?;
    there.add_address(&Address { link: eth0, address: ip("fd77::2"), length: 64 })?;
    there.change_link(eth0, &LinkChange::up())?;
    there.await_link("eth0")?;
    here.await_link("lan0")
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A container that is only its network.
pub struct Container {
    pub id: ContainerId,
    pub namespace: Namespace,
    pub endpoints: Vec<Endpoint>,
}

impl Container {
    pub fn address(&self) -> IpAddr {
        self.endpoints[0].ipv4.unwrap().address()
    }

    /// Serves TCP: every connection is told its peer's address and closed.
    pub fn serve(&self, port: u16) {
        serve(&self.namespace, SocketAddr::new(ip("0.0.0.0"), port));
    }

    pub fn call(&self, address: IpAddr, port: u16) -> Result<IpAddr, std::io::Error> {
        call(&self.namespace, address, port)
    }
}

/// Whether frames inside a bridge pass the IP hooks as well: hosts differ, the rules must hold on both.
pub fn frames_pass_ip_hooks(on: bool) {
    let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", if on { "1" } else { "0" });
}

/// Serves TCP in a namespace: every connection is told its peer's address and closed.
pub fn serve(namespace: &Namespace, listen: SocketAddr) {
    let listener = namespace.run(|| Ok(TcpListener::bind(listen)?)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let peer = stream.peer_addr().unwrap().ip();
            if stream.write_all(format!("{peer}").as_bytes()).is_err() {
                break;
            }
        }
    });
}

/// Calls such a server; the answer is whom it saw.
pub fn call(namespace: &Namespace, address: IpAddr, port: u16) -> Result<IpAddr, std::io::Error> {
    namespace
        .run(|| {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text.parse::<IpAddr>().unwrap())
        })
        .map_err(|error| std::io::Error::from(error.errno))
}

/// The host itself, as a namespace to call from.
pub fn host() -> Namespace {
    Namespace::current().unwrap()
}

pub fn publish(host_ip: Option<&str>, host_port: HostPort, container_port: u16, count: u16) -> PortBinding {
    PortBinding { protocol: Protocol::Tcp, container_port, count, host_ip: host_ip.map(ip), host_port }
}

pub fn endpoint(network: &str) -> EndpointSpec {
    EndpointSpec { network: network.into(), ..EndpointSpec::default() }
}

impl World {
    pub fn spec(&self, name: &str, ports: Vec<PortBinding>) -> SandboxSpec {
        let id = ContainerId::random();
        let dir = self.dir.path().join(id.short());
        std::fs::create_dir_all(&dir).unwrap();
        SandboxSpec {
            name: name.into(),
            mode: Default::default(),
            hostname: id.short().into(),
            domainname: String::new(),
            dns: Default::default(),
            extra_hosts: Vec::new(),
            ports,
            heir_of: None,
            files: Some(SandboxFiles {
                hosts: dir.join("hosts"),
                hostname: dir.join("hostname"),
                resolv_conf: dir.join("resolv.conf"),
            }),
            container: id,
        }
    }

    /// Makes a container's network.
    pub fn run(&self, name: &str, network: &str, ports: Vec<PortBinding>) -> Container {
        self.try_run(name, &[endpoint(network)], ports).unwrap()
    }

    /// Makes a container's network namespace without any network (`--network none`).
    pub fn run_bare(&self, name: &str) -> Container {
        self.try_run(name, &[endpoint("none")], vec![]).unwrap()
    }

    pub fn try_run(
        &self,
        name: &str,
        endpoints: &[EndpointSpec],
        ports: Vec<PortBinding>,
    ) -> Result<Container, gantry_network::Error> {
        let spec = self.spec(name, ports);
        let id = spec.container.clone();
        let sandbox = self.networks.create_sandbox(spec)?;
        match self.networks.connect(&id, endpoints) {
            Ok(endpoints) => {
                Ok(Container { id, namespace: Namespace::at(&sandbox.path.unwrap()).unwrap(), endpoints })
            }
            Err(error) => {
                self.networks.remove_sandbox(&id).unwrap();
                Err(error)
            }
        }
    }

    /// What a file of a container says.
    pub fn file(&self, container: &Container, name: &str) -> String {
        std::fs::read_to_string(self.path(container, name)).unwrap()
    }

    pub fn path(&self, container: &Container, name: &str) -> PathBuf {
        self.dir.path().join(container.id.short()).join(name)
    }

    /// The client learns a route over the host, as an attacker on the wire would.
    pub fn forge(&self, destination: &str, length: u8) {
        let mut socket = self.client.open_socket(Service::Route).unwrap();
        let link = socket.link("eth0").unwrap().unwrap().index;
        let mut route = Route::direct(ip(destination), length, link);
        route.gateway = Some(if ip(destination).is_ipv6() { ip("fd77::1") } else { ip(HOST) });
        socket.add_route(&route).unwrap();
    }

    /// A second owner over the same rows, as after a kill: the first one just stops existing.
    pub fn restarted(&self, live: &[&Container]) -> (Arc<Networks>, gantry_network::Restored) {
        self.networks.shutdown(false).unwrap();
        let records = Arc::clone(&self.records) as Arc<dyn Records>;
        let networks = Networks::open(config(self.dir.path(), &self.runtime), records).unwrap();
        let live: HashSet<ContainerId> = live.iter().map(|container| container.id.clone()).collect();
        let restored = networks.restore(&live).unwrap();
        (networks, restored)
    }
}

/// Waits for what comes in its own time.
pub fn patiently(mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "this does not come");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The host port of [`web`].
pub const WEB: u16 = 8080;

/// A web server's port, published.
pub fn web() -> Vec<PortBinding> {
    vec![publish(None, HostPort::From(WEB), 80, 1)]
}

pub fn user_network(world: &World, name: &str) -> Network {
    world.networks.create(NetworkSpec { name: name.into(), ..NetworkSpec::default() }).unwrap().network
}
