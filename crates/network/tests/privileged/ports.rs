//! Published ports.

use gantry_network::*;

use crate::machines::*;
use crate::names::ask;

#[test]
fn a_published_port_is_reached_from_everywhere_and_sees_who_calls() {
    for on in [true, false] {
        on_host(|world| {
            frames_pass_ip_hooks(on);
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
        let run = |host, inside| PortBinding {
            protocol: Protocol::Udp,
            ..publish(None, HostPort::From(host), inside, 10_000)
        };
        // The second run and the third change their numbers, up and down.
        let voip = world.run("voip", "bridge", vec![run(20000, 20000), run(32000, 50000), run(44000, 5000)]);
        let mut nft = gantry_netlink::Socket::open(gantry_netlink::Service::Netfilter).unwrap();
        let mut elements = |set| nft.elements(firewall::rules::TABLE, set).unwrap().len();
        assert_eq!((elements("range4"), elements("shift4")), (1, 2));
        let udp = |namespace: &gantry_netlink::Namespace, bind: &str| {
            let socket = namespace.run(|| Ok(std::net::UdpSocket::bind(bind)?)).unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
            socket
        };
        let same = [20000, 25555, 29999].map(|port| (port, port));
        let shifted = [(32000, 50000), (37777, 55777), (41999, 59999), (44000, 5000), (53999, 14999)];
        for (port, inside) in same.into_iter().chain(shifted) {
            let server = udp(&voip.namespace, &format!("0.0.0.0:{inside}"));
            let client = udp(&world.client, "0.0.0.0:0");
            client.send_to(b"hello", (HOST, port)).unwrap();
            let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
            assert_eq!(from.ip(), ip(CLIENT));
            server.send_to(b"there", from).unwrap();
            let (_, from) = client.recv_from(&mut [0; 16]).unwrap();
            assert_eq!(from, (ip(HOST), port).into());
        }
        world.networks.remove_sandbox(&voip.id).unwrap();
        assert_eq!((elements("range4"), elements("shift4")), (0, 0));
    });
}

#[test]
fn ipv6_is_published_to_the_world() {
    on_host(|world| {
        let spec = NetworkSpec { name: "six".into(), ipv6: Some(true), ..NetworkSpec::default() };
        world.networks.create(spec).unwrap();
        let web = world.run("web", "six", web());
        serve(&web.namespace, "[::]:80".parse().unwrap());
        let own = web.endpoints[0].ipv6.unwrap().address();
        // CVE-2020-13401: no neighbour becomes its router by saying that it is one.
        let taken =
            web.namespace.run(|| Ok(std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth0/accept_ra")?));
        assert_eq!(taken.unwrap().trim(), "0");
        assert_eq!(web.endpoints[0].ports.len(), 2, "both families, one port: {:?}", web.endpoints[0].ports);
        assert_eq!(call(&world.client, ip("fd77::1"), WEB).unwrap(), ip("fd77::2"));
        call(&host(), ip("fd77::1"), WEB).unwrap();
        // Nothing from ::1 leaves the loopback: the engine copies.
        assert_eq!(call(&host(), ip("::1"), WEB).unwrap(), ip(&gateway_of(&web)));
        call(&host(), ip("127.0.0.1"), WEB).unwrap();
        world.forge(&own.to_string(), 128);
        assert!(call(&world.client, own, 80).is_err());
        assert_eq!(ask(&web.namespace, "web", dns::message::AAAA, false), Ok(vec![own]));
    });
}

fn gateway_of(container: &Container) -> String {
    container.endpoints[0].gateway_v6.unwrap().to_string()
}

#[test]
fn ipv6_callers_reach_a_container_that_has_only_ipv4() {
    on_host(|world| {
        let udp = PortBinding { protocol: Protocol::Udp, ..publish(None, HostPort::From(5353), 53, 1) };
        let web = world.run("web", "bridge", [web(), vec![udp]].concat());
        // CVE-2024-32473: an interface on a network of IPv4 alone has no IPv6, not even an address of its link.
        let none =
            web.namespace.run(|| Ok(std::fs::read_to_string("/proc/sys/net/ipv6/conf/eth0/disable_ipv6")?));
        assert_eq!(none.unwrap().trim(), "1");
        web.serve(80);
        let shown: Vec<_> = web.endpoints[0].ports.iter().map(|port| port.host_ip).collect();
        assert_eq!(shown, [ip("0.0.0.0"), ip("::"), ip("0.0.0.0"), ip("::")], "as Docker shows them");
        let gateway = ip("172.17.0.1");
        assert_eq!(call(&host(), ip("::1"), WEB).unwrap(), gateway, "localhost, whatever it means");
        assert_eq!(call(&host(), ip("fd77::1"), WEB).unwrap(), gateway);
        assert_eq!(call(&world.client, ip("fd77::1"), WEB).unwrap(), gateway);
        assert_eq!(call(&world.client, ip(HOST), WEB).unwrap(), ip(CLIENT), "IPv4 is not copied");

        let socket = |namespace: &gantry_netlink::Namespace, bind: &str| {
            let socket = namespace.run(|| Ok(std::net::UdpSocket::bind(bind)?)).unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
            socket
        };
        let server = socket(&web.namespace, "0.0.0.0:53");
        for (namespace, at) in [(&host(), "::1"), (&world.client, "fd77::1")] {
            let client = socket(namespace, "[::]:0");
            client.connect((at, 5353)).unwrap();
            for word in [b"one", b"two"] {
                client.send(word).unwrap();
                let mut buffer = [0; 16];
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                assert_eq!((&buffer[..length], from.ip()), (&word[..], gateway));
                server.send_to(b"answer", from).unwrap();
                assert_eq!(
                    client.recv(&mut buffer).unwrap(),
                    6,
                    "from where it was asked: the socket is connected"
                );
            }
        }

        let error = world.try_run("second", &[endpoint("bridge")], self::web()).err().unwrap().to_string();
        assert!(error.ends_with("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{error}");
        let own = vec![publish(Some("::1"), HostPort::From(WEB), 80, 1)];
        let error = world.try_run("third", &[endpoint("bridge")], own).err().unwrap().to_string();
        assert!(error.ends_with("Bind for [::1]:8080 failed: port is already allocated"), "{error}");

        let (networks, _) = world.restarted(&[&web]);
        assert_eq!(call(&host(), ip("::1"), WEB).unwrap(), gateway, "after a restart of the engine");
        networks.remove_sandbox(&web.id).unwrap();
        let refused = call(&host(), ip("::1"), WEB).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        networks.shutdown(true).unwrap();
    });
}

#[test]
fn what_is_published_on_ipv6_loopback_alone_is_reached_from_there_alone() {
    on_host(|world| {
        let web = world.run("web", "bridge", vec![publish(Some("::1"), HostPort::From(WEB), 80, 1)]);
        web.serve(80);
        assert_eq!(call(&host(), ip("::1"), WEB).unwrap(), ip("172.17.0.1"));
        for elsewhere in ["127.0.0.1", HOST, "fd77::1"] {
            assert!(call(&host(), ip(elsewhere), WEB).is_err(), "{elsewhere}");
        }
        assert!(call(&world.client, ip("fd77::1"), WEB).is_err());
    });
}

#[test]
fn without_the_userland_proxy_nothing_is_copied() {
    on_host_with(
        |config| config.userland_proxy = false,
        |world| {
            let web = world.run("web", "bridge", web());
            web.serve(80);
            assert_eq!(web.endpoints[0].ports.len(), 1);
            let refused = call(&host(), ip("::1"), WEB).unwrap_err();
            assert_eq!(
                refused.kind(),
                std::io::ErrorKind::ConnectionRefused,
                "at once: programs try 127.0.0.1"
            );
            call(&host(), ip("127.0.0.1"), WEB).unwrap();
        },
    );
}

#[test]
fn where_nobody_writes_rules_published_ports_are_copied() {
    on_host_with(
        |config| config.firewall = Firewall::None,
        |world| {
            let web = world.run("web", "bridge", web());
            web.serve(80);
            for at in ["127.0.0.1", HOST, "::1", "fd77::1"] {
                assert_eq!(call(&host(), ip(at), WEB).unwrap(), ip("172.17.0.1"), "{at}");
            }
            assert_eq!(call(&world.client, ip(HOST), WEB).unwrap(), ip("172.17.0.1"));
            world.networks.remove_sandbox(&web.id).unwrap();
            assert!(call(&host(), ip("127.0.0.1"), WEB).is_err());
        },
    );
}

#[test]
fn a_long_run_is_published_on_ipv4_alone_where_it_would_have_to_be_copied() {
    on_host(|world| {
        let run = publish(None, HostPort::From(20000), 20000, 1000);
        let web = world.run("web", "bridge", vec![run]);
        let shown: Vec<_> = web.endpoints[0].ports.iter().map(|port| port.host_ip).collect();
        assert_eq!(shown, [ip("0.0.0.0")]);
    });
}
