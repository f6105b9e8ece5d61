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

/// Asks the embedded name server from inside a container; answers the addresses, or the code of a refusal.
fn ask(
    namespace: &gantry_netlink::Namespace,
    name: &str,
    kind: u16,
    tcp: bool,
) -> Result<Vec<std::net::IpAddr>, u8> {
    use std::io::{Read, Write};
    let question = dns::message::question(77, name, kind);
    let server: std::net::SocketAddr = "127.0.0.11:53".parse().unwrap();
    let patience = Some(std::time::Duration::from_secs(5));
    let answer = namespace.run(|| {
        if tcp {
            let mut stream = std::net::TcpStream::connect(server)?;
            stream.set_read_timeout(patience)?;
            stream.write_all(&(question.len() as u16).to_be_bytes())?;
            stream.write_all(&question)?;
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut answer)?;
            return Ok(answer);
        }
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(patience)?;
        // Connected: an answer from another port than 53 would not be taken.
        socket.connect(server)?;
        socket.send(&question)?;
        let mut answer = vec![0; 1500];
        let length = socket.recv(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    });
    let answer = answer.unwrap();
    let code = dns::message::code(&answer);
    if code != dns::message::OK {
        return Err(code);
    }
    let count = u16::from_be_bytes([answer[6], answer[7]]);
    let mut at = question.len();
    let mut out = Vec::new();
    for _ in 0..count {
        let length = usize::from(u16::from_be_bytes([answer[at + 10], answer[at + 11]]));
        let data = &answer[at + 12..at + 12 + length];
        match length {
            4 => out.push(std::net::IpAddr::from(<[u8; 4]>::try_from(data).unwrap())),
            16 => out.push(std::net::IpAddr::from(<[u8; 16]>::try_from(data).unwrap())),
            _ => {}
        }
        at += 12 + length;
    }
    Ok(out)
}

fn user_network(world: &World, name: &str) -> Network {
    world.networks.create(NetworkSpec { name: name.into(), ..NetworkSpec::default() }).unwrap().network
}

#[test]
fn names_are_answered_on_user_networks_and_go_with_their_containers() {
    use dns::message::{A, AAAA, PTR};
    on_host(|world| {
        user_network(world, "app");
        let alias = |name: &str| EndpointSpec { aliases: vec![name.into()], ..endpoint("app") };
        let db1 = world.try_run("db1", &[alias("db")], vec![]).unwrap();
        let db2 = world.try_run("db2", &[alias("db")], vec![]).unwrap();
        let web = world.run("web", "app", vec![]);
        for tcp in [false, true] {
            assert_eq!(ask(&web.namespace, "db1", A, tcp), Ok(vec![db1.address()]));
            assert_eq!(ask(&web.namespace, "DB1.app", A, tcp), Ok(vec![db1.address()]));
            assert_eq!(ask(&web.namespace, db2.id.short(), A, tcp), Ok(vec![db2.address()]));
            assert_eq!(
                ask(&web.namespace, "db1", AAAA, tcp),
                Ok(vec![]),
                "the name is known, such an address is not"
            );
        }
        let (one, two) =
            (ask(&web.namespace, "db", A, false).unwrap(), ask(&web.namespace, "db", A, false).unwrap());
        assert_eq!(one.len(), 2);
        assert_ne!(one, two, "several addresses take turns");
        let backwards =
            format!("{}.0.18.172.in-addr.arpa", db1.address().to_string().rsplit('.').next().unwrap());
        assert!(ask(&web.namespace, &backwards, PTR, false).is_ok());
        // A container may bind port 53 itself.
        web.namespace.run(|| Ok(std::net::UdpSocket::bind("0.0.0.0:53")?)).unwrap();

        world.networks.rename(&db1.id, "postgres").unwrap();
        assert_eq!(ask(&web.namespace, "postgres", A, false), Ok(vec![db1.address()]));
        world.networks.remove_sandbox(&db2.id).unwrap();
        assert_eq!(ask(&web.namespace, "db", A, false), Ok(vec![db1.address()]));
        assert_eq!(
            ask(&web.namespace, "db2", A, false),
            Err(dns::message::FAILED),
            "nobody's name, nobody to ask"
        );
    });
}

#[test]
fn other_questions_go_to_the_hosts_servers_as_they_are_now() {
    use dns::message::{A, Query, Record};
    on_host(|world| {
        user_network(world, "app");
        let web = world.run("web", "app", vec![]);
        // The client is the host's name server: it answers 9.9.9.9 to everything, over UDP.
        let listen = |address: &str| {
            let socket = world.client.run(|| Ok(std::net::UdpSocket::bind(address)?)).unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 1500];
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let Some(query) = Query::parse(&buffer[..length]) else { continue };
                    let answer = query.answer(0, &[Record::Address(ip("9.9.9.9"))]);
                    if query.name == "stop" || socket.send_to(&answer, from).is_err() {
                        break;
                    }
                }
            });
        };
        listen(&format!("{CLIENT}:53"));
        assert_eq!(ask(&web.namespace, "example.org", A, false), Err(dns::message::FAILED));
        std::fs::write(world.dir.path().join("resolv.conf"), format!("nameserver {CLIENT}\n")).unwrap();
        assert_eq!(ask(&web.namespace, "example.org", A, false), Ok(vec![ip("9.9.9.9")]));
        assert!(
            world.file(&web, "resolv.conf").contains("nameserver 127.0.0.11\nsearch lan\noptions ndots:0\n")
        );
    });
}

#[test]
fn a_flush_is_mended_and_the_hosts_own_rules_come_back() {
    use gantry_netlink::nft::{Batch, Rule};
    on_host(|world| {
        let web = world.run("web", "bridge", web());
        web.serve(80);
        let mut nft = gantry_netlink::Socket::open(gantry_netlink::Service::Netfilter).unwrap();
        let (table, chain) = (firewall::rules::TABLE, firewall::rules::USER_CHAIN);
        let mut batch = Batch::new();
        batch.add_rule(
            table,
            chain,
            &Rule::new().source(ip("10.66.0.0"), 16).counter().drop().comment("mine"),
        );
        nft.commit(batch).unwrap();
        let user_rules = |nft: &mut gantry_netlink::Socket| nft.rules(table, chain).unwrap();
        assert_eq!(user_rules(&mut nft).len(), 1);
        let mut ear = gantry_netlink::Socket::nftables_events().unwrap();
        let mut flush = Batch::new();
        flush.delete_table(table);
        nft.commit(flush).unwrap();
        assert!(!nft.has_table(table).unwrap());
        // Wait for what is heard, not for a time.
        while !nft.has_table(table).unwrap() {
            ear.events().unwrap();
        }
        assert_eq!(call(&world.client, ip(HOST), WEB).unwrap(), ip(CLIENT));
        assert_eq!(user_rules(&mut nft)[0].comment().as_deref(), Some("mine"));
        // The engine's next change meets a whole table.
        let other = world.run("other", "bridge", vec![]);
        world.networks.remove_sandbox(&other.id).unwrap();
        world.networks.remove_sandbox(&web.id).unwrap();
    });
}

#[test]
fn a_host_that_drops_forwarded_packets_by_policy_lets_ours_through() {
    use gantry_netlink::nft::{Batch, ChainKind, Family, Hook, HookPoint, Table};
    on_host(|world| {
        let web = world.run("web", "bridge", web());
        web.serve(80);
        let mut nft = gantry_netlink::Socket::open(gantry_netlink::Service::Netfilter).unwrap();
        let filter = Table { family: Family::Ip, name: "filter" };
        let mut batch = Batch::new();
        batch.add_table(filter);
        let hook = Hook { kind: ChainKind::Filter, point: HookPoint::Forward, priority: 0, drop: true };
        batch.add_chain(filter, "FORWARD", Some(hook));
        let mut ear = gantry_netlink::Socket::nftables_events().unwrap();
        nft.commit(batch).unwrap();
        while nft.rules(filter, "FORWARD").unwrap().is_empty() {
            ear.events().unwrap();
        }
        call(&world.client, ip(HOST), WEB).unwrap();
    });
}

#[test]
fn after_a_kill_traffic_flows_and_a_restart_repairs_and_clears_away() {
    on_host(|world| {
        user_network(world, "app");
        let web = world.run("web", "bridge", web());
        let db = world.run("db", "app", vec![]);
        let gone = world.run("gone", "bridge", vec![publish(None, HostPort::From(9090), 80, 1)]);
        web.serve(80);
        // Half a life: a namespace and a cable end that no row knows.
        let orphan = world.dir.path().join("netns").join("0123456789ab");
        gantry_netlink::Namespace::create(&orphan, || Ok(())).unwrap();
        // Damage while nobody looked: the database lost its cable.
        let mut link = gantry_netlink::Socket::open(gantry_netlink::Service::Route).unwrap();
        link.delete_link(&db.endpoints[0].host_interface).unwrap();
        world.networks.shutdown(false).unwrap();
        call(&world.client, ip(HOST), WEB).expect("nobody is needed for packets to flow");

        let (networks, restored) = world.restarted(&[&web, &db]);
        assert_eq!((restored.kept.len(), restored.removed.len()), (2, 1));
        assert_eq!(restored.removed, std::slice::from_ref(&gone.id));
        assert!(restored.broken.is_empty(), "{restored:?}");
        assert!(restored.orphans.iter().any(|orphan| orphan.ends_with("0123456789ab")));
        call(&world.client, ip(HOST), WEB).unwrap();
        assert!(call(&world.client, ip(HOST), 9090).is_err());
        db.serve(5432);
        call(&host(), db.address(), 5432).expect("the cable is back");
        assert_eq!(ask(&db.namespace, "db", dns::message::A, false), Ok(vec![db.address()]));
        assert!(std::net::TcpListener::bind(("0.0.0.0", WEB)).is_err(), "the port is kept again");
        assert_eq!(networks.endpoints_of(&web.id), web.endpoints);
        networks.remove_sandbox(&web.id).unwrap();
        networks.remove_sandbox(&db.id).unwrap();
        networks.remove("app").unwrap();
        networks.shutdown(true).unwrap();
    });
}

#[test]
fn many_lives_leave_nothing() {
    let cycles = std::env::var("GANTRY_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    on_host(|world| {
        let mut nft = gantry_netlink::Socket::open(gantry_netlink::Service::Netfilter).unwrap();
        let mut count = || {
            let sets = firewall::rules::SETS.iter().filter(|set| **set != "quiet");
            sets.map(|set| nft.elements(firewall::rules::TABLE, set).unwrap().len()).sum::<usize>()
        };
        let before = count();
        for turn in 0..cycles {
            let name = format!("n{turn}");
            user_network(world, &name);
            let container = world.run("c", &name, vec![publish(None, HostPort::Any, 80, 1)]);
            world.networks.connect(&container.id, &[endpoint("bridge")]).unwrap();
            world.networks.remove_sandbox(&container.id).unwrap();
            world.networks.remove(&name).unwrap();
        }
        assert_eq!(count(), before);
        assert_eq!(std::fs::read_dir(world.dir.path().join("netns")).unwrap().count(), 0);
        let kept = world.records.load().unwrap();
        assert!(kept.endpoints.is_empty() && kept.sandboxes.is_empty());
        assert_eq!(kept.networks.len(), 3);
        let mut link = gantry_netlink::Socket::open(gantry_netlink::Service::Route).unwrap();
        let bridges = link.links().unwrap().into_iter().filter(|link| link.kind == "bridge").count();
        assert_eq!(bridges, 1);
        // The kernel takes its time with the cables; it is asked, not waited for by the clock.
        loop {
            let left = link.links().unwrap().into_iter().filter(|link| link.name.starts_with("veth")).count();
            if left == 0 {
                break;
            }
            std::thread::yield_now();
        }
        assert_eq!(world.run("c", "bridge", vec![]).address(), ip("172.17.0.2"));
    });
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
            ("eth1", 1, 0)
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
fn an_heir_takes_the_ports_of_who_holds_them_and_no_call_is_refused() {
    for backend in [Firewall::Nftables, Firewall::Iptables] {
        on_host_with(
            |config| config.firewall = backend,
            |world| {
                let old = world.run("old", "bridge", web());
                old.serve(80);
                let heir = |name: &str, holder: &Container| {
                    let spec = SandboxSpec { heir_of: Some(holder.id.clone()), ..world.spec(name, web()) };
                    let id = spec.container.clone();
                    let sandbox = world.networks.create_sandbox(spec).unwrap();
                    let endpoints = world.networks.connect(&id, &[endpoint("bridge")]).unwrap();
                    let namespace = gantry_netlink::Namespace::at(&sandbox.path.unwrap()).unwrap();
                    Container { id, namespace, endpoints }
                };
                let new = heir("new", &old);
                new.serve(80);
                assert!(world.networks.ports_of(&new.id).is_empty(), "it waits");
                assert!(world.networks.has_heir(&old.id) && !world.networks.has_heir(&new.id));
                let done = std::sync::atomic::AtomicBool::new(false);
                std::thread::scope(|scope| {
                    let calls = scope.spawn(|| {
                        let mut calls = 0;
                        while !done.load(std::sync::atomic::Ordering::Relaxed) {
                            call(&world.client, ip(HOST), WEB).expect("somebody answers at any moment");
                            calls += 1;
                        }
                        calls
                    });
                    patiently(|| !calls.is_finished() && call(&host(), ip("127.0.0.1"), WEB).is_ok());
                    assert!(world.networks.hand_over(&old.id).unwrap());
                    world.networks.remove_sandbox(&old.id).unwrap();
                    call(&host(), ip("127.0.0.1"), WEB).unwrap();
                    done.store(true, std::sync::atomic::Ordering::Relaxed);
                    assert!(calls.join().unwrap() > 0);
                });
                assert_eq!(world.networks.ports_of(&new.id)[0].host_port, WEB);
                assert!(!world.networks.hand_over(&old.id).unwrap(), "there is nothing left to hand over");
                // A holder that dies without a word leaves its ports to the heir as well.
                let last = heir("last", &new);
                last.serve(80);
                world.networks.remove_sandbox(&new.id).unwrap();
                call(&world.client, ip(HOST), WEB).unwrap();
                assert!(
                    std::net::TcpListener::bind(("0.0.0.0", WEB)).is_err(),
                    "kept from the host's programs"
                );
                world.networks.remove_sandbox(&last.id).unwrap();
                assert!(call(&world.client, ip(HOST), WEB).is_err());
                std::net::TcpListener::bind(("0.0.0.0", WEB)).expect("nobody holds it any more");
            },
        );
    }
}

#[test]
fn static_addresses_and_refusals_in_dockers_words() {
    on_host(|world| {
        let pool = PoolSpec { subnet: Some("10.55.0.0/24".parse().unwrap()), ..PoolSpec::default() };
        let ipam = IpamSpec { pools: vec![pool], ..IpamSpec::default() };
        let spec = NetworkSpec { name: "fixed".into(), ipam, ..NetworkSpec::default() };
        world.networks.create(spec.clone()).unwrap();
        let at = |network: &str, address: &str| EndpointSpec { ipv4: Some(ip(address)), ..endpoint(network) };
        let a = world.try_run("a", &[at("fixed", "10.55.0.77")], vec![]).unwrap();
        assert_eq!(a.address(), ip("10.55.0.77"));
        let refused = |spec: EndpointSpec| world.try_run("b", &[spec], vec![]).err().unwrap().to_string();
        assert_eq!(refused(at("fixed", "10.55.0.77")), "Address already in use");
        assert!(
            refused(at("fixed", "10.66.0.1"))
                .contains("no configured subnet or ip-range contain the IP address 10.66.0.1")
        );
        assert_eq!(
            refused(at("bridge", "172.17.0.9")),
            "invalid endpoint settings:\nuser specified IP address is supported on user defined networks only"
        );
        user_network(world, "free");
        assert_eq!(
            refused(at("free", "172.18.0.9")),
            "invalid endpoint settings:\nuser specified IP address is supported only when connecting to networks with user \
             configured subnets"
        );
        assert_eq!(refused(endpoint("nowhere")), "network nowhere not found");
        let aliased = EndpointSpec { aliases: vec!["x".into()], ..endpoint("bridge") };
        assert_eq!(
            refused(aliased),
            "invalid endpoint settings:\nnetwork-scoped aliases are only supported for user-defined networks"
        );
        let create = |spec: NetworkSpec| world.networks.create(spec).unwrap_err().to_string();
        assert_eq!(create(spec.clone()), "network with name fixed already exists");
        assert_eq!(
            create(NetworkSpec { name: "other".into(), ..spec }),
            "invalid pool request: Pool overlaps with other one on this address space"
        );
        assert_eq!(
            create(NetworkSpec { name: "host".into(), ..NetworkSpec::default() }),
            "operation is not permitted on predefined host network"
        );
        assert_eq!(
            create(NetworkSpec { name: "x".into(), driver: "weave".into(), ..NetworkSpec::default() }),
            "plugin \"weave\" not found"
        );
        let error = world.networks.remove("fixed").unwrap_err().to_string();
        let id = a.endpoints[0].id.short();
        assert_eq!(
            error,
            format!(
                "error while removing network: network fixed has active endpoints (name:\"a\" id:\"{id}\")"
            )
        );
        assert_eq!(
            world.networks.remove("bridge").unwrap_err().to_string(),
            "bridge is a pre-defined network and cannot be removed"
        );
        assert_eq!(world.networks.prune(|_| true).len(), 1);
        assert_eq!(
            world.networks.connect(&a.id, &[endpoint("fixed")]).unwrap_err().to_string(),
            "endpoint with name a already exists in network fixed"
        );
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
        assert_eq!(web.endpoints[0].ports.len(), 2, "both families, one port: {:?}", web.endpoints[0].ports);
        assert_eq!(call(&world.client, ip("fd77::1"), WEB).unwrap(), ip("fd77::2"));
        call(&host(), ip("fd77::1"), WEB).unwrap();
        let refused = call(&host(), ip("::1"), WEB).unwrap_err();
        assert_eq!(
            refused.kind(),
            std::io::ErrorKind::ConnectionRefused,
            "at once, so that programs try 127.0.0.1"
        );
        call(&host(), ip("127.0.0.1"), WEB).unwrap();
        world.forge(&own.to_string(), 128);
        assert!(call(&world.client, own, 80).is_err());
        assert_eq!(ask(&web.namespace, "web", dns::message::AAAA, false), Ok(vec![own]));
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
fn edited_files_are_left_to_the_user() {
    on_host(|world| {
        user_network(world, "app");
        let mut spec = world.spec("web", vec![]);
        spec.extra_hosts = vec!["me:host-gateway".into(), "db:10.1.1.1".into()];
        spec.domainname = "example.org".into();
        spec.hostname = "web".into();
        let files = spec.files.clone().unwrap();
        let id = spec.container.clone();
        world.networks.create_sandbox(spec).unwrap();
        world.networks.connect(&id, &[endpoint("bridge")]).unwrap();
        let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
        let hosts = read(&files.hosts);
        for line in ["172.17.0.1\tme\n", "10.1.1.1\tdb\n", "172.17.0.2\tweb.example.org web\n"] {
            assert!(hosts.contains(line), "{hosts}");
        }
        assert_eq!(read(&files.hostname), "web\n");
        assert!(
            read(&files.resolv_conf).contains("nameserver 8.8.8.8"),
            "the host's own loopback is no use in here"
        );
        std::fs::write(&files.hosts, hosts + "1.2.3.4 mine\n").unwrap();
        std::fs::write(&files.resolv_conf, "nameserver 1.1.1.1\n").unwrap();
        world.networks.connect(&id, &[endpoint("app")]).unwrap();
        assert!(read(&files.hosts).contains("172.18.0.2\tweb.example.org web\n"));
        world.networks.disconnect(&id, "app").unwrap();
        assert!(read(&files.hosts).contains("1.2.3.4 mine\n") && !read(&files.hosts).contains("172.18.0.2"));
        assert_eq!(read(&files.resolv_conf), "nameserver 1.1.1.1\n");
    });
}

#[test]
fn the_iptables_backend_draws_the_books_chains() {
    if std::process::Command::new("iptables").arg("--version").output().is_err() {
        eprintln!("skipped: iptables is not installed");
        return;
    }
    on_host_with(
        |config| config.firewall = Firewall::Iptables,
        |world| {
            let web = world.run("web", "bridge", web());
            web.serve(80);
            assert_eq!(call(&world.client, ip(HOST), WEB).unwrap(), ip(CLIENT));
            call(&host(), ip("127.0.0.1"), WEB).unwrap();
            world.forge("172.17.0.0", 16);
            assert!(call(&world.client, web.address(), 80).is_err());
            let list = || {
                let out = std::process::Command::new("iptables").args(["-t", "nat", "-nL"]).output().unwrap();
                String::from_utf8(out.stdout).unwrap()
            };
            assert!(list().contains("tcp dpt:8080 to:172.17.0.2:80"), "{}", list());
            for table in ["nat", "filter", "raw"] {
                let flushed =
                    std::process::Command::new("iptables").args(["-t", table, "-F"]).status().unwrap();
                assert!(flushed.success());
            }
            patiently(|| list().contains("tcp dpt:8080 to:172.17.0.2:80"));
            patiently(|| call(&world.client, ip(HOST), WEB).is_ok());
            patiently(|| call(&world.client, web.address(), 80).is_err());
            world.networks.remove_sandbox(&web.id).unwrap();
            assert!(!list().contains("8080"));
        },
    );
}

#[test]
fn an_interface_is_plumbed_by_hand_into_two_containers_of_no_network() {
    on_host(|world| {
        let (a, b) = (world.run_bare("a"), world.run_bare("b"));
        let plumbed = |container: &Container, address: &str| {
            plumb(&PlumbSpec {
                target: Target::File(world.networks.sandbox(&container.id).unwrap().path.unwrap()),
                host_interface: "br1".into(),
                interface: "eth1".into(),
                address: Some(address.parse().unwrap()),
                gateway: None,
                mac: Some("02:00:00:00:00:07".parse().unwrap()).filter(|_| address.contains(".1/")),
                vlan: None,
                direct: false,
                local_interface: None,
                mtu: 0,
            })
        };
        let made = plumbed(&a, "192.168.1.1/24").unwrap();
        assert_eq!(made.mac.to_string(), "02:00:00:00:00:07");
        plumbed(&b, "192.168.1.2/24").unwrap();
        b.serve(80);
        assert_eq!(a.call(ip("192.168.1.2"), 80).unwrap(), ip("192.168.1.1"));
        let taken = plumbed(&b, "192.168.1.3/24").unwrap_err().to_string();
        assert!(taken.contains("eth1"), "{taken}");
        let physical = PlumbSpec {
            target: Target::File(world.networks.sandbox(&a.id).unwrap().path.unwrap()),
            host_interface: "lan0".into(),
            interface: "wire".into(),
            address: Some("192.168.77.50/24".parse().unwrap()),
            gateway: Some(ip(CLIENT)),
            mac: None,
            vlan: None,
            direct: false,
            local_interface: None,
            mtu: 0,
        };
        plumb(&physical).unwrap();
        serve(&world.client, "192.168.77.2:80".parse().unwrap());
        assert_eq!(a.call(ip(CLIENT), 80).unwrap(), ip("192.168.77.50"));
        let missing = PlumbSpec { host_interface: "eth9".into(), interface: "x".into(), ..physical };
        assert_eq!(plumb(&missing).unwrap_err().to_string(), "plumb: interface eth9 not found on this host");
    });
}

#[test]
fn the_host_is_told_containers_names_under_a_suffix() {
    on_host_with(
        |config| {
            let listen = "127.0.0.11:53".parse().unwrap();
            config.host_names = Some(HostNames { listen, suffix: "gantry".into() });
        },
        |world| {
            let web = world.run("web", "bridge", vec![]);
            assert_eq!(ask(&host(), "web.gantry", dns::message::A, false), Ok(vec![web.address()]));
            assert_eq!(ask(&host(), "db.gantry", dns::message::A, true), Err(dns::message::NO_SUCH_NAME));
        },
    );
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
