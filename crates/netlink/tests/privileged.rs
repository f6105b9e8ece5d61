//! The kernel's side of every message, in namespaces of the test's own. Needs root.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use gantry_netlink::nft::rule::{ESTABLISHED_OR_RELATED, Field, STATUS_DNAT};
use gantry_netlink::nft::set::{Gives, Value};
use gantry_netlink::nft::{
    Batch, ChainKind, Data, Element, Family, Hook, HookPoint, KeyType, Rule, Set, Table, Verdict,
    event::event,
};
use gantry_netlink::{
    Address, BridgePort, Kind, LinkChange, Namespace, NewLink, Place, Result, Route, Service, Socket,
    link::MacvlanMode,
};

const TABLE: Table<'static> = Table { family: Family::Inet, name: "probe" };

/// Runs a test body in a namespace that dies with it.
fn machine<T: Send>(body: impl FnOnce() -> Result<T> + Send) -> T {
    Namespace::fresh().unwrap().run(body).unwrap()
}

#[test]
fn a_pair_reaches_into_another_namespace_with_name_mac_and_mtu() {
    machine(|| {
        let other = Namespace::fresh()?;
        let mut here = Socket::open(Service::Route)?;
        let bridge = here.create_link(&NewLink {
            name: "br".into(),
            kind: Some(Kind::Bridge),
            up: true,
            ..NewLink::default()
        })?;
        let peer = NewLink {
            name: "eth0".into(),
            mac: Some([2, 0x42, 10, 0, 0, 2]),
            mtu: 1400,
            up: true,
            place: Place::of(&other),
            ..NewLink::default()
        };
        here.create_link(&NewLink {
            name: "vethx".into(),
            kind: Some(Kind::Veth(Box::new(peer))),
            master: Some(bridge),
            mtu: 1400,
            up: true,
            ..NewLink::default()
        })?;
        let port = here.link("vethx")?.expect("the pair's end is here");
        assert_eq!((port.master, port.kind.as_str(), port.mtu), (Some(bridge), "veth", 1400));
        here.change_bridge_port(port.index, &BridgePort { hairpin: Some(true), isolated: Some(true) })?;

        let mut there = other.open_socket(Service::Route)?;
        let eth0 = there.link("eth0")?.expect("the other end is there");
        assert_eq!(eth0.mac, [2, 0x42, 10, 0, 0, 2]);
        let address = Address { link: eth0.index, address: "10.0.0.2".parse().unwrap(), length: 24 };
        there.pipeline(vec![
            LinkChange::up().message(eth0.index),
            address.message(),
            Route::default_via("10.0.0.1".parse().unwrap(), eth0.index).message(),
        ])?;
        assert!(there.addresses()?.contains(&address));
        assert!(there.routes()?.iter().any(|route| route.gateway == Some("10.0.0.1".parse().unwrap())));
        there.add_neighbour(eth0.index, "10.0.0.9".parse().unwrap(), [2, 0, 0, 0, 0, 9])?;
        there.add_rule(("10.0.0.0".parse().unwrap(), 24), 77, 1000)?;
        there.delete_rule(("10.0.0.0".parse().unwrap(), 24), 77, 1000)?;
        there.change_link(
            eth0.index,
            &LinkChange { name: Some("net0".into()), up: Some(false), ..LinkChange::default() },
        )?;
        assert!(!there.link("net0")?.expect("renamed").up);
        here.delete_link("vethx")?;
        here.delete_link("vethx")?;
        assert_eq!(here.link("vethx")?, None);
        Ok(())
    });
}

#[test]
fn a_sub_interface_moves_into_a_namespace_at_birth() {
    machine(|| {
        let other = Namespace::fresh()?;
        let mut here = Socket::open(Service::Route)?;
        let parent = here.create_link(&NewLink {
            name: "parent".into(),
            kind: Some(Kind::Bridge),
            up: true,
            ..NewLink::default()
        })?;
        here.create_link(&NewLink {
            name: "mv0".into(),
            kind: Some(Kind::Macvlan(MacvlanMode::Bridge)),
            parent: Some(parent),
            place: Place::of(&other),
            ..NewLink::default()
        })?;
        let link = other.open_socket(Service::Route)?.link("mv0")?.expect("made there");
        assert_eq!(link.kind, "macvlan");
        Ok(())
    });
}

#[test]
fn an_error_names_what_was_tried_and_why_not() {
    machine(|| {
        let mut here = Socket::open(Service::Route)?;
        let link = NewLink { name: "br".into(), kind: Some(Kind::Bridge), ..NewLink::default() };
        here.create_link(&link)?;
        let error = here.create_link(&link).unwrap_err();
        assert!(error.is_exists(), "{error}");
        assert!(error.to_string().starts_with("create link br: "), "{error}");
        let route = Route::default_via("10.9.9.9".parse().unwrap(), 0);
        let error = here.add_route(&route).unwrap_err();
        assert!(error.message.is_some(), "the kernel gives a sentence: {error}");
        Ok(())
    });
}

fn full_table() -> Batch {
    use KeyType::*;
    let mut batch = Batch::new();
    batch.delete_table(TABLE);
    batch.add_table(TABLE);
    let ports = Set {
        name: "ports",
        key: &[InetProtocol, Ipv4Address, InetService],
        gives: Gives::Value(&[Ipv4Address, InetService]),
        interval: false,
    };
    let ranges = Set {
        name: "ranges",
        key: &[InetProtocol, Ipv4Address, InetService],
        gives: Gives::Value(&[Ipv4Address]),
        interval: true,
    };
    let six = Set {
        name: "six",
        key: &[InetProtocol, InetService],
        gives: Gives::Value(&[Ipv6Address, InetService]),
        interval: false,
    };
    let into = Set { name: "into", key: &[InterfaceName], gives: Gives::Verdict, interval: false };
    let subnets = Set { name: "subnets", key: &[Ipv4Address], gives: Gives::Verdict, interval: true };
    for set in [&ports, &ranges, &six, &into, &subnets] {
        batch.add_set(TABLE, set);
    }
    let hook = |kind, point, priority| Some(Hook { kind, point, priority, drop: false });
    batch.add_chain(TABLE, "prerouting", hook(ChainKind::Nat, HookPoint::Prerouting, -100));
    batch.add_chain(TABLE, "postrouting", hook(ChainKind::Nat, HookPoint::Postrouting, 100));
    batch.add_chain(TABLE, "forward", hook(ChainKind::Filter, HookPoint::Forward, 0));
    batch.add_chain(TABLE, "into_x", None);
    let four = &[Field::Transport, Field::Destination4, Field::DestinationPort];
    for rule in [
        Rule::new().family(false).to_local().dnat_map(four, "ports", false, true).comment("exact"),
        Rule::new().family(false).dnat_map(four, "ranges", false, false),
        Rule::new().family(true).dnat_map(&[Field::Transport, Field::DestinationPort], "six", true, true),
    ] {
        batch.add_rule(TABLE, "prerouting", &rule);
    }
    let loopback = "127.0.0.0".parse().unwrap();
    batch.add_rule(TABLE, "postrouting", &Rule::new().output("x").source(loopback, 8).masquerade());
    batch.add_rule(TABLE, "postrouting", &Rule::new().family(false).snat("10.0.0.1".parse().unwrap()));
    batch.add_rule(TABLE, "into_x", &Rule::new().state(ESTABLISHED_OR_RELATED).counter().accept());
    batch.add_rule(TABLE, "into_x", &Rule::new().status(STATUS_DNAT).accept());
    batch.add_rule(TABLE, "into_x", &Rule::new().reject());
    batch.add_rule(TABLE, "forward", &Rule::new().verdict_map(&[Field::OutputName], "into"));
    batch.add_rule(
        TABLE,
        "forward",
        &Rule::new().family(false).verdict_map(&[Field::Destination4], "subnets"),
    );
    batch.add_rule(TABLE, "forward", &Rule::new().transport(6).write_destination_port(6, 5353));
    batch
}

fn port_element(port: u16) -> Element {
    let ip = "10.0.0.1".parse().unwrap();
    let key = Data::new().protocol(6).address(ip).port(port);
    Element::key(key).gives(Value::Data(Data::new().address(ip).port(port)))
}

#[test]
fn a_transaction_makes_tables_maps_and_rules_and_reads_them_back() {
    machine(|| {
        let mut nft = Socket::open(Service::Netfilter)?;
        nft.commit(full_table())?;
        // The whole again, over itself: the path of a re-assertion.
        nft.commit(full_table())?;
        assert!(nft.has_table(TABLE)?);
        let mut batch = Batch::new();
        let ip = "10.0.0.1".parse().unwrap();
        batch.add_elements(TABLE, "ports", &(1..=2000).map(port_element).collect::<Vec<_>>());
        let any = |port| Data::new().protocol(17).address("0.0.0.0".parse().unwrap()).port(port);
        let last = Data::new().protocol(17).address("255.255.255.255".parse().unwrap()).port(19999);
        batch.add_elements(
            TABLE,
            "ranges",
            &[Element::range(any(10000), last).gives(Value::Data(Data::new().address(ip)))],
        );
        batch.add_elements(
            TABLE,
            "into",
            &[Element::key(Data::new().interface("x")).gives(Value::Verdict(Verdict::Jump("into_x".into())))],
        );
        let subnet = |a: &str| Data::new().address(a.parse().unwrap());
        let jump = || Value::Verdict(Verdict::Jump("into_x".into()));
        for (from, to) in [("172.17.0.0", "172.18.0.0"), ("172.18.0.0", "172.19.0.0")] {
            let interval = [Element::key(subnet(from)).gives(jump()), Element::closing(subnet(to))];
            batch.add_elements(TABLE, "subnets", &interval);
        }
        nft.commit(batch)?;
        assert_eq!(nft.elements(TABLE, "ports")?.len(), 2000);
        assert_eq!(nft.elements(TABLE, "ranges")?.len(), 1);
        assert_eq!(nft.rules(TABLE, "prerouting")?[0].comment().as_deref(), Some("exact"));
        let chains = nft.chains()?;
        assert!(chains.iter().any(|c| c.table == "probe" && c.name == "forward" && c.hook == Some((2, 0))));
        let mut batch = Batch::new();
        batch.delete_elements(TABLE, "ports", &[port_element(7)]);
        nft.commit(batch)?;
        assert_eq!(nft.elements(TABLE, "ports")?.len(), 1999);
        // A refused part undoes the whole.
        let mut batch = Batch::new();
        batch.delete_elements(TABLE, "ports", &[port_element(8)]);
        batch.delete_elements(TABLE, "ports", &[port_element(7)]);
        assert!(nft.commit(batch).unwrap_err().is_missing());
        assert_eq!(nft.elements(TABLE, "ports")?.len(), 1999);
        let mut batch = Batch::new();
        batch.delete_table(TABLE);
        nft.commit(batch)?;
        assert!(!nft.has_table(TABLE)?);
        Ok(())
    });
}

#[test]
fn a_rule_that_was_read_can_be_written_again() {
    machine(|| {
        let mut nft = Socket::open(Service::Netfilter)?;
        nft.commit(full_table())?;
        let rules = nft.rules(TABLE, "into_x")?;
        let mut batch = full_table();
        batch.flush_chain(TABLE, "into_x");
        for rule in &rules {
            assert!(!rule.has_nameless_set());
            batch.add_listed_rule(TABLE, "into_x", rule);
        }
        nft.commit(batch)?;
        let again = nft.rules(TABLE, "into_x")?;
        assert_eq!(again.len(), rules.len());
        assert!(again.iter().zip(&rules).all(|(a, b)| a.expressions.len() == b.expressions.len()));
        Ok(())
    });
}

#[test]
fn others_changes_are_heard_with_their_author() {
    machine(|| {
        let mut ear = Socket::nftables_events()?;
        let mut nft = Socket::open(Service::Netfilter)?;
        nft.commit(full_table())?;
        let heard: Vec<_> = ear.events()?.iter().filter_map(event).collect();
        assert!(heard.iter().any(|e| e.table == "probe" && e.port == nft.port() && !e.removal));
        let mut other = Socket::open(Service::Netfilter)?;
        let mut batch = Batch::new();
        batch.delete_table(TABLE);
        other.commit(batch)?;
        loop {
            let heard: Vec<_> = ear.events()?.iter().filter_map(event).collect();
            if heard.iter().any(|e| e.table == "probe" && e.port == other.port() && e.removal) {
                return Ok(());
            }
        }
    });
}

#[test]
fn a_namespace_lives_by_its_file_and_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ns");
    let (namespace, index) =
        Namespace::create(&path, || Ok(Socket::open(Service::Route)?.link("lo")?.unwrap().index)).unwrap();
    assert_eq!(index, 1);
    assert!(Namespace::at(&path).unwrap().is(&namespace).unwrap());
    assert!(!Namespace::current().unwrap().is(&namespace).unwrap());
    Namespace::unmount(&path).unwrap();
    assert!(!path.exists());
    Namespace::unmount(&path).unwrap();
}

#[test]
fn connections_are_listed_and_forgotten() {
    machine(|| {
        let mut route = Socket::open(Service::Route)?;
        route.change_link(1, &LinkChange::up())?;
        let mut nft = Socket::open(Service::Netfilter)?;
        nft.commit(full_table())?;
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"x", receiver.local_addr().unwrap()).unwrap();
        let port = receiver.local_addr().unwrap().port();
        let mine = |nft: &mut Socket| -> Result<Vec<_>> {
            Ok(nft
                .connections(false)?
                .into_iter()
                .filter(|c| c.protocol == 17 && c.destination_port == port)
                .collect())
        };
        let found = mine(&mut nft)?;
        assert_eq!(found.len(), 1);
        nft.forget(&found[0])?;
        nft.forget(&found[0])?;
        assert!(mine(&mut nft)?.is_empty());
        Ok(())
    });
}
