//! The elements of one endpoint: its published ports and its links.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gantry_netlink::nft::set::Value;
use gantry_netlink::nft::{Batch, Data, Element, Table};

use super::{BRIDGE_TABLE, SHIFT4, SHIFT6, TABLE, family_name};
use crate::firewall::{EndpointFacts, shift};
use crate::options::GatewayMode;
use crate::record::PublishedPort;

/// The elements of an endpoint.
fn elements(endpoint: &EndpointFacts) -> Vec<(Table<'static>, &'static str, Vec<Element>)> {
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
pub fn add(batch: &mut Batch, endpoint: &EndpointFacts) {
    for (table, set, elements) in elements(endpoint) {
        batch.add_elements(table, set, &elements);
    }
}

/// Takes an endpoint away.
pub fn remove(batch: &mut Batch, endpoint: &EndpointFacts) {
    for (table, set, elements) in elements(endpoint) {
        batch.delete_elements(table, set, &elements);
    }
}

/// Makes of what some endpoints had what they have; an element that stays is not touched.
pub fn change(batch: &mut Batch, before: &[EndpointFacts], after: &[EndpointFacts]) {
    let (old, new): (Vec<_>, Vec<_>) =
        (before.iter().flat_map(elements).collect(), after.iter().flat_map(elements).collect());
    for (table, set, gone) in old.iter().filter(|one| !new.contains(one)) {
        batch.delete_elements(*table, set, gone);
    }
    for (table, set, come) in new.iter().filter(|one| !old.contains(one)) {
        batch.add_elements(*table, set, come);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::BridgeFacts;
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
}
