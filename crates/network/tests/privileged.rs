//! Packets on real machines made of namespaces. Needs root.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod machines;

use gantry_network::*;
use machines::*;

const WEB: u16 = 8080;

fn web() -> Vec<PortBinding> {
    vec![publish(None, HostPort::From(WEB), 80, 1)]
}

#[test]
fn containers_of_the_default_bridge_reach_each_other_and_the_world() {
    on_host(|world| {
        let (a, b) = (world.run("a", "bridge", vec![]), world.run("b", "bridge", vec![]));
        assert_eq!((a.address(), b.address()), (ip("172.17.0.2"), ip("172.17.0.3")));
        assert_eq!(a.endpoints[0].mac.unwrap().to_string(), "02:42:ac:11:00:02");
        b.serve(80);
        assert_eq!(a.call(b.address(), 80).unwrap(), a.address());
        serve(&world.client, "192.168.77.2:80".parse().unwrap());
        assert_eq!(a.call(ip(CLIENT), 80).unwrap(), ip(HOST), "the world sees the host's address");
        world.networks.remove_sandbox(&a.id).unwrap();
        let again = world.run("c", "bridge", vec![]);
        assert_eq!(again.address(), ip("172.17.0.2"), "the lowest free address, as in Docker");
    });
}

#[test]
fn a_published_port_is_reached_from_everywhere_and_sees_who_calls() {
    on_host(|world| {
        let web = world.run("web", "bridge", web());
        let other = world.run("other", "bridge", vec![]);
        web.serve(80);
        assert_eq!(call(&world.client, ip(HOST), WEB).unwrap(), ip(CLIENT), "the client's own address");
        assert_eq!(call(&host(), ip(HOST), WEB).unwrap(), ip(HOST));
        let gateway = ip("172.17.0.1");
        assert_eq!(call(&host(), ip("127.0.0.1"), WEB).unwrap(), gateway, "loopback, without a proxy");
        assert_eq!(call(&host(), gateway, WEB).unwrap(), gateway);
        web.call(ip(HOST), WEB).expect("a container calls its own published port");
        other.call(ip(HOST), WEB).expect("a neighbour calls it");
        world.networks.remove_sandbox(&web.id).unwrap();
        assert!(call(&world.client, ip(HOST), WEB).is_err());
    });
}

#[test]
fn what_is_published_on_loopback_is_never_reached_from_outside() {
    on_host(|world| {
        let web = world.run("web", "bridge", vec![publish(Some("127.0.0.1"), HostPort::From(WEB), 80, 1)]);
        let other = world.run("other", "bridge", vec![]);
        web.serve(80);
        assert!(call(&host(), ip("127.0.0.1"), WEB).is_ok());
        assert!(call(&world.client, ip(HOST), WEB).is_err());
        assert!(other.call(ip("172.17.0.1"), WEB).is_err());
        // An attacker on the wire sends to 127.0.0.1 over the host, and to the container itself.
        world.client.run(|| Ok(std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1")?)).unwrap();
        world.forge("127.0.0.0", 8);
        world.forge("172.17.0.0", 16);
        assert!(call(&world.client, ip("127.0.0.1"), WEB).is_err());
        assert!(call(&world.client, web.address(), 80).is_err());
    });
}

#[test]
fn only_published_ports_of_a_container_are_reached_with_a_forged_route() {
    on_host(|world| {
        let web = world.run("web", "bridge", web());
        web.serve(80);
        web.serve(81);
        world.forge("172.17.0.0", 16);
        assert!(call(&world.client, web.address(), 80).is_err());
        assert!(call(&world.client, web.address(), 81).is_err());
        assert!(call(&world.client, ip(HOST), WEB).is_ok());
    });
}

#[test]
fn networks_are_islands_but_published_ports_are_for_all() {
    on_host(|world| {
        for name in ["one", "two"] {
            world.networks.create(NetworkSpec { name: name.into(), ..NetworkSpec::default() }).unwrap();
        }
        let a = world.run("a", "one", vec![]);
        let b = world.run("b", "two", web());
        b.serve(80);
        assert!(a.call(b.address(), 80).is_err());
        a.call(ip(HOST), WEB).expect("published to all");
    });
}

#[test]
fn an_internal_network_has_no_way_out_and_none_in() {
    on_host(|world| {
        let spec = NetworkSpec { name: "inner".into(), internal: true, ..NetworkSpec::default() };
        world.networks.create(spec).unwrap();
        let (a, b) = (world.run("a", "inner", web()), world.run("b", "inner", vec![]));
        a.serve(80);
        b.call(a.address(), 80).unwrap();
        serve(&world.client, "192.168.77.2:80".parse().unwrap());
        assert!(b.call(ip(CLIENT), 80).is_err());
        assert!(call(&world.client, ip(HOST), WEB).is_err());
        assert_eq!(a.endpoints[0].gateway_v4, None);
    });
}

#[test]
fn without_icc_only_links_open_and_only_what_is_exposed() {
    on_host_with(
        |config| config.default_bridge.icc = false,
        |world| {
            let db = world.run("db", "bridge", vec![]);
            db.serve(5432);
            db.serve(22);
            let plain = world.run("plain", "bridge", vec![]);
            assert!(plain.call(db.address(), 5432).is_err());
            let exposed = vec![Port { number: 5432, protocol: Protocol::Tcp }];
            let link = Link { container: db.id.clone(), alias: "database".into(), exposed };
            let linked = EndpointSpec { links: vec![link], ..endpoint("bridge") };
            let web = world.try_run("web", &[linked], vec![]).unwrap();
            web.call(db.address(), 5432).expect("the link opens it");
            assert!(web.call(db.address(), 22).is_err());
            assert!(world.file(&web, "hosts").contains(&format!(
                "{}\tdatabase {} db\n",
                db.address(),
                db.id.short()
            )));
        },
    );
}

#[test]
fn two_takers_of_a_port_one_wins_and_the_other_is_told() {
    on_host(|world| {
        let first = world.run("first", "bridge", web());
        let error = world.try_run("second", &[endpoint("bridge")], web()).err().unwrap().to_string();
        assert!(
            error.starts_with("driver failed programming external connectivity on endpoint second ("),
            "{error}"
        );
        assert!(error.ends_with("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{error}");
        world.networks.remove_sandbox(&first.id).unwrap();
        let listener = std::net::TcpListener::bind(("0.0.0.0", WEB)).unwrap();
        let error = world.try_run("third", &[endpoint("bridge")], web()).err().unwrap().to_string();
        assert!(error.ends_with("address already in use"), "{error}");
        drop(listener);
        let last = world.run("last", "bridge", web());
        assert!(std::net::TcpListener::bind(("0.0.0.0", WEB)).is_err(), "kept from the host's programs");
        assert_eq!(last.address(), ip("172.17.0.2"), "the refused ones left no lease");
    });
}

#[test]
fn ten_thousand_udp_ports_cost_one_element_and_each_is_reached() {
    on_host(|world| {
        let mut run = publish(None, HostPort::From(20000), 20000, 10_000);
        run.protocol = Protocol::Udp;
        let voip = world.run("voip", "bridge", vec![run]);
        let mut nft = gantry_netlink::Socket::open(gantry_netlink::Service::Netfilter).unwrap();
        assert_eq!(nft.elements(firewall::rules::TABLE, "range4").unwrap().len(), 1);
        let udp = |namespace: &gantry_netlink::Namespace, bind: &str| {
            let socket = namespace.run(|| Ok(std::net::UdpSocket::bind(bind)?)).unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
            socket
        };
        for port in [20000, 25555, 29999] {
            let server = udp(&voip.namespace, &format!("0.0.0.0:{port}"));
            let client = udp(&world.client, "0.0.0.0:0");
            client.send_to(b"hello", (HOST, port)).unwrap();
            let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
            assert_eq!(from.ip(), ip(CLIENT));
            server.send_to(b"there", from).unwrap();
            let (_, from) = client.recv_from(&mut [0; 16]).unwrap();
            assert_eq!(from, (ip(HOST), port).into());
        }
        world.networks.remove_sandbox(&voip.id).unwrap();
        assert_eq!(nft.elements(firewall::rules::TABLE, "range4").unwrap().len(), 0);
    });
}
