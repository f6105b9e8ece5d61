//! The chains of one network, and the elements of the maps that lead to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gantry_netlink::nft::rule::{ESTABLISHED_OR_RELATED, Field, STATUS_DNAT};
use gantry_netlink::nft::set::Value;
use gantry_netlink::nft::{Batch, Data, Element, Rule, Verdict};

use super::{TABLE, family_name, link_fields};
use crate::firewall::BridgeFacts;
use crate::options::GatewayMode;
use crate::prefix::Prefix;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

fn chain(kind: &str, bridge: &str) -> String {
    format!("{kind}-{bridge}")
}

fn jump(chain: String) -> Value {
    Value::Verdict(Verdict::Jump(chain))
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
    let mut doors = vec![("bridges", vec![key()]), ("into", vec![key().gives(jump(chain("into", name)))])];
    if bridge.internal || [false, true].iter().any(|ipv6| isolated(bridge, *ipv6)) {
        doors.push(("from", vec![key().gives(jump(chain("from", name)))]));
    }
    if !bridge.internal {
        doors.push(("hairpin", vec![key().gives(jump(chain("hairpin", name)))]));
    }
    for subnet in bridge.pools.iter().map(|pool| pool.subnet) {
        let ipv6 = subnet.is_ipv6();
        if guarded(bridge, ipv6) {
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

/// Whether packets of the outside never carry a container's own address, but for those of an attacker.
fn guarded(bridge: &BridgeFacts, ipv6: bool) -> bool {
    bridge.internal
        || match bridge.options.mode(ipv6) {
            // Answers to containers that go out under their own addresses come to those: `into` tells them from callers.
            GatewayMode::Nat => bridge.options.masquerade,
            GatewayMode::Isolated => true,
            GatewayMode::NatUnprotected | GatewayMode::Routed => false,
        }
}

fn isolated(bridge: &BridgeFacts, ipv6: bool) -> bool {
    bridge.options.mode(ipv6) == GatewayMode::Isolated
}

fn leaves_rewritten(bridge: &BridgeFacts, ipv6: bool) -> bool {
    let nat = matches!(bridge.options.mode(ipv6), GatewayMode::Nat | GatewayMode::NatUnprotected);
    !bridge.internal && nat && bridge.options.masquerade
}

/// Adds a network.
pub fn add(batch: &mut Batch, bridge: &BridgeFacts) {
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
        rule("from", Rule::new().not_output(name).drop());
    } else {
        for ipv6 in [false, true].into_iter().filter(|ipv6| isolated(bridge, *ipv6)) {
            rule("from", Rule::new().family(ipv6).not_output(name).drop());
        }
    }
    for (set, elements) in doors(bridge) {
        batch.add_elements(TABLE, set, &elements);
    }
}

/// What may come out of the bridge towards its containers.
fn into_rules(bridge: &BridgeFacts, rule: &mut dyn FnMut(Rule)) {
    let name = bridge.bridge.as_str();
    for ipv6 in [false, true].into_iter().filter(|ipv6| !guarded(bridge, *ipv6)) {
        rule(Rule::new().family(ipv6).state(ESTABLISHED_OR_RELATED).accept());
    }
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
pub fn remove(batch: &mut Batch, bridge: &BridgeFacts) {
    for (set, elements) in doors(bridge) {
        batch.delete_elements(TABLE, set, &elements);
    }
    for kind in ["guard", "hairpin", "leave", "into", "from"] {
        let chain = chain(kind, &bridge.bridge);
        batch.flush_chain(TABLE, &chain);
        batch.delete_chain(TABLE, &chain);
    }
}
