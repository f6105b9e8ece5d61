//! The rules, as they are drawn in `docs/networking.md`. Pure: facts in, a transaction out.
//!
//! What is constant are the base chains; what a network adds is a few chains of its own, reached by verdict maps over
//! its interface name and its subnets, so a packet passes the same handful of rules whether there is one network or a
//! hundred. What an endpoint adds is elements of maps, never rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gantry_netlink::nft::rule::{ESTABLISHED_OR_RELATED, Field, STATUS_DNAT};
use gantry_netlink::nft::set::{Gives, Value};
use gantry_netlink::nft::{
    Batch, ChainKind, Data, Element, Family, Hook, HookPoint, KeyType, Rule, Set, Table, Verdict,
};

use super::{BridgeFacts, EndpointFacts, Facts, shift};
use crate::options::GatewayMode;
use crate::prefix::Prefix;
use crate::record::PublishedPort;

/// The one table.
pub const TABLE: Table<'static> = Table { family: Family::Inet, name: "gantry" };
/// Its sister for frames between containers of a network without `icc`: those pass no other hook.
pub const BRIDGE_TABLE: Table<'static> = Table { family: Family::Bridge, name: "gantry" };
/// The chain for the host's own rules; never written by us.
pub const USER_CHAIN: &str = "GANTRY-USER";

/// The base chains and the ones they share.
pub const FIXED_CHAINS: [&str; 6] = ["guard", "prerouting", "output", "publish", "postrouting", "forward"];
/// How the names of the chains of one network begin.
pub const NETWORK_CHAINS: [&str; 5] = ["guard-", "hairpin-", "leave-", "into-", "from-"];

/// The sets and maps.
pub const SETS: [&str; 25] = [
    "bridges",
    "guard4",
    "guard6",
    "hairpin",
    "leave4",
    "leave6",
    "into",
    "from",
    "port4",
    "port4_any",
    "range4",
    "shift4",
    "shift4_first",
    "shift4_last",
    "port6",
    "port6_any",
    "range6",
    "shift6",
    "shift6_first",
    "shift6_last",
    "open4",
    "open6",
    "link4",
    "link6",
    "quiet",
];

/// The maps of shifted runs: address, first and last port of the kernel's range.
const SHIFT4: [&str; 3] = ["shift4", "shift4_first", "shift4_last"];
const SHIFT6: [&str; 3] = ["shift6", "shift6_first", "shift6_last"];

const LOOPBACK: (IpAddr, u8) = (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8);
const LOOPBACK6: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::LOCALHOST), 128);
/// Kernel priorities (`linux/netfilter_ipv4.h`).
const RAW: i32 = -300;
const DSTNAT: i32 = -100;
const FILTER: i32 = 0;
const SRCNAT: i32 = 100;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// The rules and maps that do not depend on any network. Nothing of them may be there yet.
pub fn foundation(batch: &mut Batch) {
    use KeyType::{InetProtocol, InetService, InterfaceName, Ipv4Address, Ipv6Address};
    set(batch, "bridges", &[InterfaceName], Gives::Membership, false);
    for name in ["hairpin", "into", "from"] {
        set(batch, name, &[InterfaceName], Gives::Verdict, false);
    }
    for (address, guard, leave) in [(Ipv4Address, "guard4", "leave4"), (Ipv6Address, "guard6", "leave6")] {
        set(batch, guard, &[address], Gives::Verdict, true);
        set(batch, leave, &[address], Gives::Verdict, true);
    }
    for (address, [port, any, range, open, link], shift) in [
        (Ipv4Address, ["port4", "port4_any", "range4", "open4", "link4"], SHIFT4),
        (Ipv6Address, ["port6", "port6_any", "range6", "open6", "link6"], SHIFT6),
    ] {
        set(batch, port, &[InetProtocol, address, InetService], Gives::Value(&[address, InetService]), false);
        set(batch, any, &[InetProtocol, InetService], Gives::Value(&[address, InetService]), false);
        set(batch, range, &[InetProtocol, address, InetService], Gives::Value(&[address]), true);
        for (map, gives) in shift.into_iter().zip([address, InetService, InetService]) {
            set(batch, map, &[InetProtocol, address, InetService], Gives::Value(&[gives]), true);
        }
        set(batch, open, &[InetProtocol, address, InetService], Gives::Membership, true);
        set(batch, link, &[InetProtocol, address, address, InetService], Gives::Membership, false);
    }

    let base = |kind, point, priority| Some(Hook { kind, point, priority, drop: false });
    batch.add_chain(TABLE, "guard", base(ChainKind::Filter, HookPoint::Prerouting, RAW));
    batch.add_chain(TABLE, "prerouting", base(ChainKind::Nat, HookPoint::Prerouting, DSTNAT));
    batch.add_chain(TABLE, "output", base(ChainKind::Nat, HookPoint::Output, DSTNAT));
    batch.add_chain(TABLE, "postrouting", base(ChainKind::Nat, HookPoint::Postrouting, SRCNAT));
    batch.add_chain(TABLE, "forward", base(ChainKind::Filter, HookPoint::Forward, FILTER));
    batch.add_chain(TABLE, "publish", None);

    let mut rule = |chain, rule: Rule| batch.add_rule(TABLE, chain, &rule);
    // A container never speaks as, or to, the host's loopback: route_localnet is on for its bridge.
    let ours = || Rule::new().in_set(&[Field::InputName], "bridges");
    rule("guard", ours().source(LOOPBACK.0, LOOPBACK.1).drop());
    rule("guard", ours().destination(LOOPBACK.0, LOOPBACK.1).drop());
    // Nobody reaches a container by its own address from outside.
    rule("guard", Rule::new().family(false).verdict_map(&[Field::Destination4], "guard4"));
    rule("guard", Rule::new().family(true).verdict_map(&[Field::Destination6], "guard6"));
    // A packet for 127.0.0.1 that comes from outside stays one: the kernel then drops it as a martian.
    rule("prerouting", Rule::new().destination(LOOPBACK.0, LOOPBACK.1).leave());
    rule("prerouting", Rule::new().destination(LOOPBACK6.0, LOOPBACK6.1).leave());
    rule("prerouting", Rule::new().to_local().jump("publish"));
    // The kernel lets no packet from ::1 leave the machine's own loopback, whatever NAT says; without a translation it
    // is refused at once, and programs go on to 127.0.0.1.
    rule("output", Rule::new().destination(LOOPBACK6.0, LOOPBACK6.1).leave());
    rule("output", Rule::new().to_local().jump("publish"));
    for (ipv6, destination, [exact, any, range], shift) in [
        (false, Field::Destination4, ["port4", "port4_any", "range4"], SHIFT4),
        (true, Field::Destination6, ["port6", "port6_any", "range6"], SHIFT6),
    ] {
        let full = [Field::Transport, destination, Field::DestinationPort];
        let short = [Field::Transport, Field::DestinationPort];
        rule("publish", Rule::new().family(ipv6).dnat_map(&full, exact, ipv6, true));
        rule("publish", Rule::new().family(ipv6).dnat_map(&short, any, ipv6, true));
        rule("publish", Rule::new().family(ipv6).dnat_map(&full, range, ipv6, false));
        rule("publish", Rule::new().family(ipv6).dnat_shifted(&full, shift, ipv6));
    }
    // What the host sent to its own loopback goes on with the bridge's address, or no answer would find back.
    let to_ours = || Rule::new().in_set(&[Field::OutputName], "bridges");
    rule("postrouting", to_ours().source(LOOPBACK.0, LOOPBACK.1).masquerade());
    rule("postrouting", Rule::new().verdict_map(&[Field::OutputName], "hairpin"));
    rule("postrouting", Rule::new().family(false).verdict_map(&[Field::Source4], "leave4"));
    rule("postrouting", Rule::new().family(true).verdict_map(&[Field::Source6], "leave6"));
    rule("forward", Rule::new().jump(USER_CHAIN).comment("the host's own rules"));
    rule("forward", Rule::new().verdict_map(&[Field::OutputName], "into"));
    rule("forward", Rule::new().verdict_map(&[Field::InputName], "from"));
}

fn set(batch: &mut Batch, name: &str, key: &[KeyType], gives: Gives<'_>, interval: bool) {
    batch.add_set(TABLE, &Set { name, key, gives, interval });
}

/// The table for frames between containers of networks without `icc`. `quiet` holds their interfaces on the host.
pub fn bridge_foundation(batch: &mut Batch) {
    use KeyType::{InetProtocol, InetService, InterfaceName, Ipv4Address};
    const IPV4: u16 = 0x0800;
    const ARP: u16 = 0x0806;
    batch.delete_table(BRIDGE_TABLE);
    batch.add_table(BRIDGE_TABLE);
    let quiet = Set { name: "quiet", key: &[InterfaceName], gives: Gives::Membership, interval: false };
    let link = Set {
        name: "link4",
        key: &[InetProtocol, Ipv4Address, Ipv4Address, InetService],
        gives: Gives::Membership,
        interval: false,
    };
    batch.add_set(BRIDGE_TABLE, &quiet);
    batch.add_set(BRIDGE_TABLE, &link);
    let hook = Hook { kind: ChainKind::Filter, point: HookPoint::Forward, priority: FILTER, drop: false };
    batch.add_chain(BRIDGE_TABLE, "forward", Some(hook));
    let mut rule = |rule: Rule| batch.add_rule(BRIDGE_TABLE, "forward", &rule);
    rule(Rule::new().not_in_set(&[Field::OutputName], "quiet").accept());
    rule(Rule::new().not_in_set(&[Field::InputName], "quiet").accept());
    rule(Rule::new().ether_type(ARP).accept());
    let [to, back] = link_fields(false);
    rule(Rule::new().ether_type(IPV4).in_set(&to, "link4").accept());
    rule(Rule::new().ether_type(IPV4).in_set(&back, "link4").accept());
    rule(Rule::new().drop());
}

/// A linked packet on its way there, and its answer.
fn link_fields(ipv6: bool) -> [[Field; 4]; 2] {
    let (source, destination) =
        if ipv6 { (Field::Source6, Field::Destination6) } else { (Field::Source4, Field::Destination4) };
    [
        [Field::Transport, source, destination, Field::DestinationPort],
        [Field::Transport, destination, source, Field::SourcePort],
    ]
}

fn chain(kind: &str, bridge: &str) -> String {
    format!("{kind}-{bridge}")
}

fn jump(chain: String) -> Value {
    Value::Verdict(Verdict::Jump(chain))
}

fn family_name(ipv4: &'static str, ipv6: &'static str, is_ipv6: bool) -> &'static str {
    if is_ipv6 { ipv6 } else { ipv4 }
}

/// A subnet as an interval of a one-field set; the second element is left out where the address space ends.
fn interval(subnet: Prefix) -> (Data, Option<Data>) {
    let end = match subnet.last() {
        IpAddr::V4(last) => last.to_bits().checked_add(1).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        IpAddr::V6(last) => last.to_bits().checked_add(1).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    };
    (Data::new().address(subnet.first()), end.map(|end| Data::new().address(end)))
}

fn subnet_elements(subnet: Prefix, value: Value) -> Vec<Element> {
    let (first, behind) = interval(subnet);
    let mut elements = vec![Element::key(first).gives(value)];
    elements.extend(behind.map(Element::closing));
    elements
}

/// Elements of the maps that lead to a network's chains.
fn doors(bridge: &BridgeFacts) -> Vec<(&'static str, Vec<Element>)> {
    let name = bridge.bridge.as_str();
    let key = || Element::key(Data::new().interface(name));
    let mut doors = vec![
        ("bridges", vec![key()]),
        ("into", vec![key().gives(jump(chain("into", name)))]),
        ("from", vec![key().gives(jump(chain("from", name)))]),
    ];
    if !bridge.internal {
        doors.push(("hairpin", vec![key().gives(jump(chain("hairpin", name)))]));
    }
    for subnet in bridge.pools.iter().map(|pool| pool.subnet) {
        let ipv6 = subnet.is_ipv6();
        let guarded = match bridge.options.mode(ipv6) {
            // Answers to containers that go out under their own addresses come to those: `into` tells them from callers.
            GatewayMode::Nat => bridge.options.masquerade,
            GatewayMode::Isolated => true,
            GatewayMode::NatUnprotected | GatewayMode::Routed => false,
        };
        if guarded || bridge.internal {
            let elements = subnet_elements(subnet, jump(chain("guard", name)));
            doors.push((family_name("guard4", "guard6", ipv6), elements));
        }
        if leaves_rewritten(bridge, ipv6) {
            let elements = subnet_elements(subnet, jump(chain("leave", name)));
            doors.push((family_name("leave4", "leave6", ipv6), elements));
        }
    }
    doors
}

fn leaves_rewritten(bridge: &BridgeFacts, ipv6: bool) -> bool {
    let nat = matches!(bridge.options.mode(ipv6), GatewayMode::Nat | GatewayMode::NatUnprotected);
    !bridge.internal && nat && bridge.options.masquerade
}

/// Adds a network.
pub fn add_bridge(batch: &mut Batch, bridge: &BridgeFacts) {
    let name = bridge.bridge.as_str();
    for kind in ["guard", "hairpin", "leave", "into", "from"] {
        batch.add_chain(TABLE, &chain(kind, name), None);
    }
    let mut rule = |kind, rule: Rule| batch.add_rule(TABLE, &chain(kind, name), &rule);
    // Only the network itself, or the host's own address on it.
    rule("guard", Rule::new().input(name).leave());
    rule("guard", Rule::new().to_local().leave());
    rule("guard", Rule::new().drop());

    // A published port used from inside its own network: the answer must come back the same way.
    for subnet in bridge.pools.iter().map(|pool| pool.subnet) {
        rule("hairpin", Rule::new().status(STATUS_DNAT).source(subnet.first(), subnet.length()).masquerade());
    }
    rule("leave", Rule::new().output(name).leave());
    for (ipv6, source) in [(false, bridge.options.source_v4), (true, bridge.options.source_v6)] {
        if let Some(source) = source {
            rule("leave", Rule::new().family(ipv6).snat(source));
        }
    }
    rule("leave", Rule::new().masquerade());

    into_rules(bridge, &mut |r| rule("into", r));
    if bridge.internal {
        rule("from", Rule::new().output(name).accept());
        rule("from", Rule::new().drop());
    } else {
        for ipv6 in [false, true] {
            if bridge.options.mode(ipv6) == GatewayMode::Isolated {
                rule("from", Rule::new().family(ipv6).not_output(name).drop());
            }
        }
        rule("from", Rule::new().accept());
    }
    for (set, elements) in doors(bridge) {
        batch.add_elements(TABLE, set, &elements);
    }
}

/// What may come out of the bridge towards its containers.
fn into_rules(bridge: &BridgeFacts, rule: &mut dyn FnMut(Rule)) {
    let name = bridge.bridge.as_str();
    rule(Rule::new().state(ESTABLISHED_OR_RELATED).accept());
    if bridge.options.icc {
        rule(Rule::new().input(name).accept());
    } else {
        for (ipv6, link) in [(false, "link4"), (true, "link6")] {
            for fields in link_fields(ipv6) {
                rule(Rule::new().family(ipv6).input(name).in_set(&fields, link).accept());
            }
        }
    }
    if bridge.internal {
        rule(Rule::new().drop());
        return;
    }
    for ipv6 in [false, true] {
        let (open, destination) =
            if ipv6 { ("open6", Field::Destination6) } else { ("open4", Field::Destination4) };
        match bridge.options.mode(ipv6) {
            GatewayMode::Nat => {}
            GatewayMode::NatUnprotected => rule(Rule::new().family(ipv6).accept()),
            GatewayMode::Isolated => rule(Rule::new().family(ipv6).drop()),
            GatewayMode::Routed => {
                let fields = [Field::Transport, destination, Field::DestinationPort];
                rule(Rule::new().family(ipv6).in_set(&fields, open).accept());
                rule(Rule::new().family(ipv6).transport(if ipv6 { ICMPV6 } else { ICMP }).accept());
            }
        }
    }
    rule(Rule::new().status(STATUS_DNAT).accept().comment("published ports"));
    rule(Rule::new().drop());
}

/// Takes a network away. Its endpoints are gone already.
pub fn remove_bridge(batch: &mut Batch, bridge: &BridgeFacts) {
    for (set, elements) in doors(bridge) {
        batch.delete_elements(TABLE, set, &elements);
    }
    for kind in ["guard", "hairpin", "leave", "into", "from"] {
        let chain = chain(kind, &bridge.bridge);
        batch.flush_chain(TABLE, &chain);
        batch.delete_chain(TABLE, &chain);
    }
}

/// The elements of an endpoint.
pub fn elements(endpoint: &EndpointFacts) -> Vec<(Table<'static>, &'static str, Vec<Element>)> {
    let mut out = Vec::new();
    let bridge = &endpoint.bridge;
    if !bridge.internal {
        for port in &endpoint.ports {
            let Some(address) = endpoint.address(port.host_ip.is_ipv6()) else { continue };
            let ipv6 = address.is_ipv6();
            match bridge.options.mode(ipv6) {
                GatewayMode::Nat | GatewayMode::NatUnprotected => {
                    out.extend(
                        translation(port, address).into_iter().map(|(set, elements)| (TABLE, set, elements)),
                    );
                }
                GatewayMode::Routed => {
                    let set = family_name("open4", "open6", ipv6);
                    let key =
                        |number| Data::new().protocol(port.protocol.number()).address(address).port(number);
                    let last = port.container_port + (port.count - 1);
                    out.push((TABLE, set, vec![Element::range(key(port.container_port), key(last))]));
                }
                GatewayMode::Isolated => {}
            }
        }
    }
    if !bridge.options.icc {
        let quiet = vec![Element::key(Data::new().interface(&endpoint.host_interface))];
        out.push((BRIDGE_TABLE, "quiet", quiet));
        for (target, port) in &endpoint.links {
            let Some(own) = endpoint.address(target.is_ipv6()) else { continue };
            let key =
                Data::new().protocol(port.protocol.number()).address(own).address(*target).port(port.number);
            if !target.is_ipv6() {
                out.push((BRIDGE_TABLE, "link4", vec![Element::key(key.clone())]));
            }
            out.push((TABLE, family_name("link4", "link6", target.is_ipv6()), vec![Element::key(key)]));
        }
    }
    out
}

/// The maps and their elements that publish a run of ports: one interval each, however long the run is.
fn translation(port: &PublishedPort, address: IpAddr) -> Vec<(&'static str, Vec<Element>)> {
    let ipv6 = address.is_ipv6();
    let protocol = Data::new().protocol(port.protocol.number());
    if port.count == 1 {
        let target = Value::Data(Data::new().address(address).port(port.container_port));
        let (set, key) = match port.host_ip.is_unspecified() {
            true => (family_name("port4_any", "port6_any", ipv6), protocol),
            false => (family_name("port4", "port6", ipv6), protocol.address(port.host_ip)),
        };
        return vec![(set, vec![Element::key(key.port(port.host_port)).gives(target)])];
    }
    let (low, high) = match (port.host_ip, port.host_ip.is_unspecified()) {
        (IpAddr::V4(_), true) => (port.host_ip, IpAddr::V4(Ipv4Addr::BROADCAST)),
        (IpAddr::V6(_), true) => (port.host_ip, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))),
        (exact, false) => (exact, exact),
    };
    let run = |first: u16, count: u16| {
        let from = protocol.clone().address(low).port(first);
        Element::range(from, protocol.clone().address(high).port(first + (count - 1)))
    };
    if port.keeps_numbers() {
        let value = Value::Data(Data::new().address(address));
        let element = run(port.host_port, port.count).gives(value);
        return vec![(family_name("range4", "range6", ipv6), vec![element])];
    }
    let pieces = shift::pieces(port.host_port, port.container_port, port.count);
    let values: [&dyn Fn(&shift::Piece) -> Data; 3] =
        [&|_| Data::new().address(address), &|piece| Data::new().port(piece.low), &|piece| {
            Data::new().port(piece.high)
        }];
    let maps = if ipv6 { SHIFT6 } else { SHIFT4 }.into_iter().zip(values);
    let element = |piece: &shift::Piece, value: Data| run(piece.first, piece.count).gives(Value::Data(value));
    maps.map(|(map, value)| (map, pieces.iter().map(|piece| element(piece, value(piece))).collect()))
        .collect()
}

/// Adds an endpoint.
pub fn add_endpoint(batch: &mut Batch, endpoint: &EndpointFacts) {
    for (table, set, elements) in elements(endpoint) {
        batch.add_elements(table, set, &elements);
    }
}

/// Takes an endpoint away.
pub fn remove_endpoint(batch: &mut Batch, endpoint: &EndpointFacts) {
    for (table, set, elements) in elements(endpoint) {
        batch.delete_elements(table, set, &elements);
    }
}

/// Makes of what some endpoints had what they have; an element that stays is not touched.
pub fn change_endpoints(batch: &mut Batch, before: &[EndpointFacts], after: &[EndpointFacts]) {
    let (old, new): (Vec<_>, Vec<_>) =
        (before.iter().flat_map(elements).collect(), after.iter().flat_map(elements).collect());
    for (table, set, gone) in old.iter().filter(|one| !new.contains(one)) {
        batch.delete_elements(*table, set, gone);
    }
    for (table, set, come) in new.iter().filter(|one| !old.contains(one)) {
        batch.add_elements(*table, set, come);
    }
}

/// Whether any network needs the bridge table.
pub fn needs_bridge_table(facts: &Facts) -> bool {
    facts.bridges.iter().any(|bridge| !bridge.options.icc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Protocol;
    use std::collections::BTreeMap;

    fn endpoint(ports: Vec<PublishedPort>) -> EndpointFacts {
        EndpointFacts {
            bridge: BridgeFacts {
                bridge: "br0".into(),
                pools: Vec::new(),
                internal: false,
                options: crate::options::BridgeOptions::parse(&BTreeMap::new()).unwrap(),
            },
            host_interface: "veth0".into(),
            addresses: vec!["172.17.0.2".parse().unwrap()],
            ports,
            links: Vec::new(),
        }
    }

    fn port(host: &str, host_port: u16, container_port: u16, count: u16) -> PublishedPort {
        PublishedPort {
            protocol: Protocol::Udp,
            host_ip: host.parse().unwrap(),
            host_port,
            container_port,
            count,
        }
    }

    #[test]
    fn ten_thousand_ports_that_keep_their_numbers_are_one_element() {
        let elements = elements(&endpoint(vec![port("0.0.0.0", 10000, 10000, 10000)]));
        assert_eq!(elements.len(), 1);
        assert_eq!((elements[0].1, elements[0].2.len()), ("range4", 1));
    }

    #[test]
    fn the_map_follows_from_the_binding() {
        let sets = |p| {
            elements(&endpoint(vec![p])).into_iter().map(|(_, set, e)| (set, e.len())).collect::<Vec<_>>()
        };
        assert_eq!(sets(port("0.0.0.0", 8080, 80, 1)), [("port4_any", 1)]);
        assert_eq!(sets(port("127.0.0.1", 8080, 80, 1)), [("port4", 1)]);
        let shifted = [("shift4", 1), ("shift4_first", 1), ("shift4_last", 1)];
        assert_eq!(sets(port("0.0.0.0", 8000, 9000, 10)), shifted);
        assert_eq!(sets(port("127.0.0.1", 10000, 20000, 10000)), shifted);
        assert_eq!(sets(port("::", 8080, 80, 1)), [], "the container has no address of that family");
    }

    #[test]
    fn the_page_that_draws_the_rules_names_every_chain_and_set() {
        let page = include_str!("../../../../docs/networking.md");
        let families = SETS.iter().map(|set| set.replace('6', "4"));
        let names = FIXED_CHAINS.iter().chain(&NETWORK_CHAINS).map(|name| (*name).to_owned()).chain(families);
        for name in names.chain([USER_CHAIN.to_owned()]) {
            assert!(page.contains(&name), "docs/networking.md does not mention {name}");
        }
    }
}
