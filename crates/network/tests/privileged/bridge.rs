//! Who reaches whom on bridges and on the wire.

use std::net::UdpSocket;
use std::time::Duration;

use gantry_netlink::{Address, Namespace, Service, Socket};
use gantry_network::*;

use crate::machines::*;

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
        // Nor by way of a port that the host publishes for a neighbouring network, on the one address it has here.
        let other = world.run("other", "bridge", web());
        other.serve(80);
        call(&world.client, ip(HOST), WEB).unwrap();
        assert!(b.call(ip("172.18.0.1"), WEB).is_err(), "the host's address on the inner network");
    });
}

#[test]
fn nobody_outside_speaks_into_a_connection_between_two_containers() {
    on_host(|world| {
        frames_pass_ip_hooks(true);
        for name in ["all", "lan0", "gantry0"] {
            std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "0").unwrap();
        }
        let (a, b) = (world.run("a", "bridge", vec![]), world.run("b", "bridge", vec![]));
        let socket = |from: &Namespace, at: &str| from.run(|| Ok(UdpSocket::bind(at)?)).unwrap();
        let (left, right) = (socket(&a.namespace, "0.0.0.0:1000"), socket(&b.namespace, "0.0.0.0:2000"));
        let mut heard = [0; 16];
        right.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        left.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Both ways, so that the kernel calls it established.
        for _ in 0..2 {
            left.send_to(b"there", (b.address(), 2000)).unwrap();
            right.recv(&mut heard).unwrap();
            right.send_to(b"back", (a.address(), 1000)).unwrap();
            left.recv(&mut heard).unwrap();
        }
        // The attacker takes the one's address and sends from its port to the other's.
        let mut link = world.client.open_socket(Service::Route).unwrap();
        let eth0 = link.link("eth0").unwrap().unwrap().index;
        link.add_address(&Address { link: eth0, address: a.address(), length: 32 }).unwrap();
        world.forge(&b.address().to_string(), 32);
        let forger = socket(&world.client, &format!("{}:1000", a.address()));
        for _ in 0..5 {
            forger.send_to(b"forged", (b.address(), 2000)).unwrap();
        }
        left.send_to(b"mine", (b.address(), 2000)).unwrap();
        let length = right.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"mine");
    });
}

#[test]
fn without_icc_only_links_open_and_only_what_is_exposed() {
    for on in [true, false] {
        on_host_with(
            |config| config.default_bridge.icc = false,
            |world| {
                frames_pass_ip_hooks(on);
                let db = world.run("db", "bridge", vec![]);
                db.serve(5432);
                db.serve(22);
                let plain = world.run("plain", "bridge", vec![]);
                assert!(plain.call(db.address(), 5432).is_err());
                let exposed = vec![Port { number: 5432, protocol: Protocol::Tcp }];
                let link = Link {
                    container: Some(db.id.clone()),
                    name: "db".into(),
                    alias: "database".into(),
                    exposed,
                };
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
}

#[test]
fn a_link_closes_behind_its_target_and_opens_when_that_is_back() {
    for firewall in [Firewall::Nftables, Firewall::Iptables] {
        on_host_with(
            |config| config.firewall = firewall,
            |world| {
                frames_pass_ip_hooks(true);
                let options = [("com.docker.network.bridge.enable_icc".into(), "false".into())].into();
                let pool = PoolSpec { subnet: Some("10.56.0.0/24".parse().unwrap()), ..PoolSpec::default() };
                let ipam = IpamSpec { pools: vec![pool], ..IpamSpec::default() };
                let spec = NetworkSpec { name: "shy".into(), ipam, options, ..NetworkSpec::default() };
                world.networks.create(spec).unwrap();
                let db = world.run("db", "shy", vec![]);
                db.serve(5432);
                let exposed = vec![Port { number: 5432, protocol: Protocol::Tcp }];
                let link =
                    Link { container: Some(db.id.clone()), name: "db".into(), alias: "db".into(), exposed };
                let linked = EndpointSpec { links: vec![link], ..endpoint("shy") };
                let web = world.try_run("web", &[linked], vec![]).unwrap();
                let address = db.address();
                web.call(address, 5432).expect("the link opens it");
                world.networks.remove_sandbox(&db.id).unwrap();
                let same = EndpointSpec { ipv4: Some(address), ..endpoint("shy") };
                let other = world.try_run("other", std::slice::from_ref(&same), vec![]).unwrap();
                other.serve(5432);
                assert!(web.call(address, 5432).is_err(), "{firewall:?}: it was opened for another");
                world.networks.remove_sandbox(&other.id).unwrap();
                let spec = SandboxSpec { container: db.id.clone(), ..world.spec("db", vec![]) };
                let sandbox = world.networks.create_sandbox(spec).unwrap();
                world.networks.connect(&db.id, &[same]).unwrap();
                serve(
                    &Namespace::at(&sandbox.path.unwrap()).unwrap(),
                    std::net::SocketAddr::new(address, 5432),
                );
                web.call(address, 5432).expect("it is back");
            },
        );
    }
}

#[test]
fn without_masquerading_answers_come_to_the_container_and_nothing_else_does() {
    for firewall in [Firewall::Nftables, Firewall::Iptables] {
        on_host_with(
            |config| {
                config.default_bridge.masquerade = false;
                config.firewall = firewall;
            },
            |world| {
                let web = world.run("web", "bridge", vec![publish(None, HostPort::From(WEB), 80, 1)]);
                web.serve(80);
                web.serve(81);
                world.forge("172.17.0.0", 16);
                serve(&world.client, "192.168.77.2:80".parse().unwrap());
                assert_eq!(web.call(ip(CLIENT), 80).unwrap(), web.address(), "its own address");
                assert!(call(&world.client, web.address(), 81).is_err());
                assert_eq!(call(&world.client, ip(HOST), WEB).unwrap(), ip(CLIENT));
            },
        );
    }
}

#[test]
fn the_default_route_and_the_ports_follow_the_gateway() {
    on_host(|world| {
        user_network(world, "aaa");
        user_network(world, "zzz");
        let web = world.run("web", "zzz", web());
        web.serve(80);
        serve(&world.client, "192.168.77.2:80".parse().unwrap());
        let hosts = world.file(&web, "hosts");
        world.networks.connect(&web.id, &[endpoint("aaa")]).unwrap();
        let endpoints = world.networks.endpoints_of(&web.id);
        assert_eq!(
            (endpoints[0].interface.as_str(), endpoints[0].ports.len(), endpoints[1].ports.len()),
            ("eth1", 2, 0)
        );
        call(&world.client, ip(HOST), WEB).unwrap();
        web.call(ip(CLIENT), 80).unwrap();
        world.networks.disconnect(&web.id, "aaa").unwrap();
        assert_eq!(world.file(&web, "hosts"), hosts);
        call(&world.client, ip(HOST), WEB).unwrap();
        web.call(ip(CLIENT), 80).unwrap();
        let high = EndpointSpec { gateway_priority: -1, ..endpoint("aaa") };
        world.networks.connect(&web.id, &[high]).unwrap();
        assert_eq!(world.networks.endpoints_of(&web.id)[0].interface, "eth0", "priority beats the name");
        world.networks.disconnect(&web.id, "zzz").unwrap();
        call(&world.client, ip(HOST), WEB).unwrap();
        let error = world.networks.disconnect(&web.id, "zzz").unwrap_err().to_string();
        assert_eq!(error, format!("container {} is not connected to network zzz", web.id));
    });
}

#[test]
fn a_macvlan_network_puts_containers_on_the_hosts_wire() {
    on_host(|world| {
        let pool = PoolSpec {
            subnet: Some("192.168.77.0/24".parse().unwrap()),
            ip_range: Some("192.168.77.128/25".parse().unwrap()),
            gateway: Some(ip(CLIENT)),
            ..PoolSpec::default()
        };
        let spec = NetworkSpec {
            name: "wire".into(),
            driver: "macvlan".into(),
            ipam: IpamSpec { pools: vec![pool], ..IpamSpec::default() },
            options: [("parent".to_owned(), "lan0".to_owned())].into(),
            ..NetworkSpec::default()
        };
        world.networks.create(spec.clone()).unwrap();
        let box1 = world.run("box", "wire", vec![]);
        assert_eq!(box1.address(), ip("192.168.77.128"));
        box1.serve(80);
        assert_eq!(call(&world.client, box1.address(), 80).unwrap(), ip(CLIENT), "straight over the wire");
        world.networks.remove_sandbox(&box1.id).unwrap();
        world.networks.remove("wire").unwrap();
        let missing = NetworkSpec { options: [("parent".to_owned(), "eth9".to_owned())].into(), ..spec };
        let error = world.networks.create(missing).unwrap_err().to_string();
        assert_eq!(error, "macvlan: interface eth9 not found on this host");
    });
}

#[test]
fn a_bridge_that_somebody_took_away_is_back_with_the_next_container() {
    on_host(|world| {
        let app = user_network(world, "app");
        let web = world.run("web", "app", web());
        web.serve(80);
        Socket::open(Service::Route).unwrap().delete_link(&app.interface).unwrap();
        assert!(call(&world.client, ip(HOST), WEB).is_err());
        let next = world.run("next", "app", vec![]);
        next.call(web.address(), 80).expect("who was there hangs on it again");
        call(&world.client, ip(HOST), WEB).unwrap();
    });
}

#[test]
fn thirty_two_at_once_get_thirty_two_addresses() {
    on_host(|world| {
        let made: Vec<Container> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..32)
                .map(|n| {
                    scope.spawn(move || {
                        world.run(&format!("c{n}"), "bridge", vec![publish(None, HostPort::Any, 80, 1)])
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let addresses: std::collections::BTreeSet<_> = made.iter().map(Container::address).collect();
        let ports: std::collections::BTreeSet<_> =
            made.iter().map(|c| c.endpoints[0].ports[0].host_port).collect();
        assert_eq!((addresses.len(), ports.len()), (32, 32));
        for container in &made {
            container.serve(80);
            call(&world.client, ip(HOST), container.endpoints[0].ports[0].host_port).unwrap();
        }
    });
}
