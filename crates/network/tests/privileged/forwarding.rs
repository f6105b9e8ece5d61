//! Questions that are not about containers, and containers' names on the host.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use dns::message::{self, A, PTR, Query, Record};
use gantry_netlink::Namespace;
use gantry_network::*;

use crate::machines::*;
use crate::names::{ask, exchange};

/// Questions that a [`name_server`] has seen, each with whether it came over TCP.
type Seen = Arc<Mutex<Vec<(Vec<u8>, bool)>>>;

/// A name server at an address of a machine, UDP and TCP, for the rest of the test.
fn name_server(
    machine: &Namespace,
    address: &str,
    answer: impl Fn(&Query, bool) -> Option<Vec<u8>> + Send + Clone + 'static,
) -> Seen {
    use std::io::{Read, Write};
    let at = format!("{address}:53");
    let seen = Seen::default();
    let (datagrams, streams) =
        machine.run(|| Ok((std::net::UdpSocket::bind(&at)?, std::net::TcpListener::bind(&at)?))).unwrap();
    let (told, answers) = (Arc::clone(&seen), answer.clone());
    std::thread::spawn(move || {
        let mut buffer = [0; 65535];
        while let Ok((length, from)) = datagrams.recv_from(&mut buffer) {
            told.lock().unwrap().push((buffer[..length].to_vec(), false));
            if let Some(bytes) = Query::parse(&buffer[..length]).and_then(|query| answers(&query, false)) {
                let _ = datagrams.send_to(&bytes, from);
            }
        }
    });
    let told = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in streams.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).unwrap();
            let said = Query::parse(&question).and_then(|query| answer(&query, true));
            told.lock().unwrap().push((question, true));
            if let Some(bytes) = said {
                stream.write_all(&(bytes.len() as u16).to_be_bytes()).unwrap();
                stream.write_all(&bytes).unwrap();
            }
        }
    });
    seen
}

fn resolvers(world: &World, servers: &[&str]) {
    let text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    std::fs::write(world.dir.path().join("resolv.conf"), text).unwrap();
}

/// A container on a network with a name server of its own choice.
fn asker(world: &World, name: &str, network: &str, server: IpAddr) -> Namespace {
    let mut spec = world.spec(name, vec![]);
    spec.dns.servers = vec![server];
    let id = spec.container.clone();
    let sandbox = world.networks.create_sandbox(spec).unwrap();
    world.networks.connect(&id, &[endpoint(network)]).unwrap();
    Namespace::at(&sandbox.path.unwrap()).unwrap()
}

/// The answer to everything.
fn nine(query: &Query, _: bool) -> Option<Vec<u8>> {
    Some(query.answer(message::OK, &[Record::Address(ip("9.9.9.9"))]))
}

/// So many that no plain datagram holds them.
fn many(query: &Query) -> Vec<Record> {
    assert_eq!(query.kind, A);
    (0..100).map(|n| Record::Address(IpAddr::from([10, 1, 0, n]))).collect()
}

fn is_cut(answer: &[u8]) -> bool {
    answer[2] & 2 != 0
}

/// A question with an OPT record that takes answers of this size, and a cookie that nobody here knows.
fn extended(name: &str, size: u16) -> Vec<u8> {
    let mut question = message::question(78, name, A);
    question[11] = 1;
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    question.extend([0, 0, 41, (size >> 8) as u8, size as u8, 0, 0, 0, 0, 0, cookie.len() as u8]);
    question.extend(cookie);
    question
}

fn answers(answer: &[u8]) -> u16 {
    u16::from_be_bytes([answer[6], answer[7]])
}

const SERVER: &str = "127.0.0.11:53";

#[test]
fn other_questions_go_to_the_hosts_servers_as_they_are_now() {
    on_host(|world| {
        user_network(world, "app");
        let web = world.run("web", "app", vec![]);
        name_server(&world.client, CLIENT, nine);
        assert_eq!(ask(&web.namespace, "example.org", A, false), Err(message::FAILED));
        resolvers(world, &[CLIENT]);
        for tcp in [false, true] {
            assert_eq!(ask(&web.namespace, "example.org", A, tcp), Ok(vec![ip("9.9.9.9")]));
        }
        let other = "4.3.2.1.in-addr.arpa";
        assert!(ask(&web.namespace, other, PTR, false).is_ok(), "addresses that are nobody's here go on too");
        assert!(
            world.file(&web, "resolv.conf").contains("nameserver 127.0.0.11\nsearch lan\noptions ndots:0\n")
        );
        // On the host's own loopback, as systemd-resolved is.
        name_server(&host(), "127.0.0.53", |query, _| {
            Some(query.answer(message::OK, &[Record::Address(ip("8.8.8.8"))]))
        });
        resolvers(world, &["127.0.0.53"]);
        assert_eq!(ask(&web.namespace, "example.org", A, false), Ok(vec![ip("8.8.8.8")]));
    });
}

#[test]
fn what_does_not_fit_a_datagram_is_asked_for_again_over_tcp() {
    on_host(|world| {
        user_network(world, "app");
        let web = world.run("web", "app", vec![]);
        let server = |query: &Query, tcp: bool| {
            Some(if tcp { query.answer(0, &many(query)) } else { query.answer_datagram(0, &many(query)) })
        };
        let seen = name_server(&world.client, CLIENT, server);
        resolvers(world, &[CLIENT]);
        let question = message::question(77, "many.example", A);
        let cut = exchange(&web.namespace, SERVER, &question, false).unwrap();
        assert!(is_cut(&cut) && cut.len() <= 512, "the asker is told to come again");
        let whole = exchange(&web.namespace, SERVER, &question, true).unwrap();
        assert_eq!((answers(&whole), is_cut(&whole)), (100, false));
        assert_eq!(seen.lock().unwrap().iter().map(|(_, tcp)| *tcp).collect::<Vec<_>>(), [false, true]);
        // EDNS: the question goes on byte by byte, and a larger datagram comes back whole.
        let question = extended("many.example", 4096);
        let whole = exchange(&web.namespace, SERVER, &question, false).unwrap();
        assert_eq!((answers(&whole), is_cut(&whole)), (100, false));
        assert_eq!(seen.lock().unwrap().last().unwrap().0, question);
    });
}

#[test]
fn forty_addresses_of_one_service_come_whole_over_tcp_or_with_edns() {
    on_host(|world| {
        user_network(world, "app");
        let service = EndpointSpec { aliases: vec!["svc".into()], ..endpoint("app") };
        let made: Vec<Container> = (0..40)
            .map(|n| world.try_run(&format!("c{n}"), std::slice::from_ref(&service), vec![]).unwrap())
            .collect();
        let inside = &made[0].namespace;
        let question = message::question(77, "svc", A);
        let cut = exchange(inside, SERVER, &question, false).unwrap();
        assert!(is_cut(&cut) && cut.len() <= 512);
        for (question, tcp) in [(question, true), (extended("svc", 4096), false)] {
            let whole = exchange(inside, SERVER, &question, tcp).unwrap();
            assert_eq!((answers(&whole), is_cut(&whole)), (40, false), "tcp: {tcp}");
        }
        let small = exchange(inside, SERVER, &extended("svc", 512), false).unwrap();
        assert!(is_cut(&small), "it takes no more than it says");
    });
}

#[test]
fn a_silent_server_and_a_failing_one_are_passed_over() {
    on_host(|world| {
        user_network(world, "app");
        let web = world.run("web", "app", vec![]);
        let mut link = gantry_netlink::Socket::open(gantry_netlink::Service::Route).unwrap();
        let lan = link.link("lan0").unwrap().unwrap().index;
        for last in [11, 12] {
            let address = gantry_netlink::Address {
                link: lan,
                address: IpAddr::from([192, 168, 77, last]),
                length: 24,
            };
            link.add_address(&address).unwrap();
        }
        let silent = name_server(&host(), "192.168.77.11", |_, _| None);
        let failing =
            name_server(&host(), "192.168.77.12", |query, _| Some(query.answer(message::FAILED, &[])));
        let good = name_server(&world.client, CLIENT, nine);
        resolvers(world, &["192.168.77.11", "192.168.77.12", CLIENT]);
        assert_eq!(ask(&web.namespace, "example.org", A, false), Ok(vec![ip("9.9.9.9")]));
        let asked = |seen: &Seen| seen.lock().unwrap().len();
        assert_eq!([asked(&silent), asked(&failing), asked(&good)], [1, 1, 1], "each once, in their order");
        resolvers(world, &["192.168.77.11"]);
        assert_eq!(
            ask(&web.namespace, "example.org", A, false),
            Err(message::FAILED),
            "told, not left waiting"
        );
        // An answer to another question is nobody's answer.
        let stray = |query: &Query, _: bool| {
            let other = Query::parse(&message::question(query.id ^ 1, &query.name, query.kind)).unwrap();
            Some(other.answer(0, &[Record::Address(ip("6.6.6.6"))]))
        };
        name_server(&host(), HOST, stray);
        resolvers(world, &[HOST]);
        assert_eq!(ask(&web.namespace, "example.org", A, false), Err(message::FAILED));
    });
}

#[test]
fn nobody_is_asked_in_a_circle() {
    let listen = "0.0.0.0:53".parse().unwrap();
    on_host_with(
        |config| config.host_names = Some(HostNames { listen, suffix: "gantry".into() }),
        |world| {
            user_network(world, "app");
            let web = world.run("web", "app", vec![]);
            // The host's resolver is our own server of the host; the container's is the one that asks.
            resolvers(world, &["127.0.0.1", "127.0.0.11"]);
            assert_eq!(ask(&web.namespace, "example.org", A, false), Err(message::FAILED));
            let inside = asker(world, "asker", "app", ip("127.0.0.11"));
            assert_eq!(ask(&inside, "example.org", A, true), Err(message::FAILED));
            assert_eq!(ask(&inside, "web", A, false), Ok(vec![web.address()]));
        },
    );
}

#[test]
fn a_containers_own_servers_are_asked_from_inside_it() {
    on_host(|world| {
        user_network(world, "app");
        let resolver = world.run("resolver", "app", vec![]);
        let seen = name_server(&resolver.namespace, "0.0.0.0", nine);
        let inside = asker(world, "asker", "app", resolver.address());
        for tcp in [false, true] {
            assert_eq!(ask(&inside, "example.org", A, tcp), Ok(vec![ip("9.9.9.9")]));
        }
        assert_eq!(seen.lock().unwrap().len(), 2);
    });
}

#[test]
fn who_has_no_way_out_asks_nobody_by_the_host_and_its_own_server_from_inside() {
    on_host(|world| {
        let spec = NetworkSpec { name: "inner".into(), internal: true, ..NetworkSpec::default() };
        world.networks.create(spec).unwrap();
        let outside = name_server(&world.client, CLIENT, nine);
        resolvers(world, &[CLIENT]);
        let resolver = world.run("resolver", "inner", vec![]);
        assert_eq!(ask(&resolver.namespace, "example.org", A, false), Err(message::FAILED));
        name_server(&resolver.namespace, "0.0.0.0", nine);
        let inside = asker(world, "asker", "inner", resolver.address());
        assert_eq!(ask(&inside, "example.org", A, false), Ok(vec![ip("9.9.9.9")]));
        let beyond = asker(world, "beyond", "inner", ip(CLIENT));
        assert_eq!(ask(&beyond, "example.org", A, false), Err(message::FAILED));
        assert_eq!(outside.lock().unwrap().len(), 0, "not a question left the network");
    });
}

#[test]
fn the_host_is_told_containers_names_under_a_suffix() {
    let listen = "127.0.0.54:53".parse().unwrap();
    on_host_with(
        |config| config.host_names = Some(HostNames { listen, suffix: "docker".into() }),
        |world| {
            let web = world.run("web", "bridge", vec![]);
            let says = |name: &str, kind: u16, tcp: bool| {
                let question = message::question(77, name, kind);
                exchange(&host(), "127.0.0.54:53", &question, tcp).unwrap()
            };
            for tcp in [false, true] {
                let answer = says("Web.Docker", A, tcp);
                assert_eq!((message::code(&answer), answers(&answer)), (0, 1));
                assert!(answer.ends_with(&[172, 17, 0, 2]), "{answer:?}");
                assert_eq!(message::code(&says("db.docker", A, tcp)), message::NO_SUCH_NAME);
                // A resolver goes on to its next server after this.
                assert_eq!(message::code(&says("example.org", A, tcp)), message::REFUSED);
                assert_eq!(message::code(&says("4.3.2.1.in-addr.arpa", PTR, tcp)), message::REFUSED);
            }
            let backwards = says("2.0.17.172.in-addr.arpa", PTR, false);
            let text = String::from_utf8_lossy(&backwards);
            assert!(text.contains("\u{3}web\u{6}docker\0"), "{text}");
            world.networks.remove_sandbox(&web.id).unwrap();
            assert_eq!(message::code(&says("web.docker", A, false)), message::NO_SUCH_NAME);
        },
    );
}
