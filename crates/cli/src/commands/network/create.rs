//! `network create`.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, list, switch, text};
use crate::parse::env;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("attachable", "Containers may be attached by hand"),
    flag("aux-address", Kind::Map, "Addresses that the driver shall not give away").default("map[]"),
    text("config-from", "Network whose configuration to copy"),
    switch("config-only", "Only a configuration, no network"),
    text("driver", "Network driver").short('d').default("bridge"),
    flag("gateway", Kind::Strings, "Gateway of the subnet"),
    switch("ingress", "The cluster's routing mesh"),
    switch("internal", "No way to the outside"),
    flag("ip-range", Kind::Strings, "Give addresses from this part of the subnet"),
    text("ipam-driver", "Driver of addresses").default("default"),
    flag("ipam-opt", Kind::Map, "Option for the driver of addresses").default("map[]"),
    switch("ipv4", "Give IPv4 addresses").default("true"),
    switch("ipv6", "Give IPv6 addresses"),
    list("label", "Set a label").check(env::validate_label),
    flag("opt", Kind::Map, "Option for the driver").short('o').default("map[]"),
    text("scope", "How far it reaches"),
    flag("subnet", Kind::Strings, "Subnet in CIDR form"),
];

pub static CREATE: Command = Command {
    usage: "[OPTIONS] NETWORK",
    short: "Create a network",
    examples: &[
        ("back", "A bridge; containers on it know each other by name"),
        ("--subnet 10.9.0.0/24 --internal back", "Addresses of your choice, and no way out"),
        (
            "-d macvlan -o parent=eth0 --subnet 192.168.1.0/24 lan",
            "Containers as machines of the local network",
        ),
    ],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut body = json!({
        "Name": m.word(0),
        "Driver": m.text("driver"),
        "Scope": m.text("scope"),
        "IPAM": {"Driver": m.text("ipam-driver"), "Options": m.map("ipam-opt"), "Config": pools(m)?},
        "Internal": m.on("internal"),
        "Attachable": m.on("attachable"),
        "Ingress": m.on("ingress"),
        "ConfigOnly": m.on("config-only"),
        "ConfigFrom": null,
        "Options": m.map("opt"),
        "Labels": m.map("label"),
        "CheckDuplicate": true,
    });
    if m.changed("config-from") {
        body["ConfigFrom"] = json!({"Network": m.text("config-from")});
    }
    if m.changed("ipv4") {
        body["EnableIPv4"] = json!(m.on("ipv4"));
    }
    if m.changed("ipv6") {
        body["EnableIPv6"] = json!(m.on("ipv6"));
    }
    let network = s.client()?.network_create(&body).await?;
    if let Some(warning) = network["Warning"].as_str().filter(|w| !w.is_empty()) {
        print::err(&format!("WARNING: {warning}"));
    }
    print::line(network["Id"].as_str().unwrap_or_default());
    Ok(())
}

/// Subnets with their ranges, gateways and reserved addresses, each beside the subnet it lies in.
fn pools(m: &Matches) -> Result<Vec<Value>, String> {
    let subnets = m.all("subnet");
    let mut pools: Vec<(Option<Net>, Map<String, Value>)> = Vec::new();
    for subnet in &subnets {
        // One that is no network is the engine's to refuse.
        let net = Net::parse(subnet);
        let meets = |known: &Option<Net>| matches!((known, &net), (Some(a), Some(b)) if a.overlaps(b));
        if pools.iter().any(|(known, _)| meets(known)) {
            return Err("multiple overlapping subnet configuration is not supported".into());
        }
        pools.push((net, Map::from_iter([("Subnet".to_owned(), json!(subnet))])));
    }
    if subnets.is_empty() && (m.changed("ip-range") || m.changed("gateway")) {
        return Err("every ip-range or gateway must have a corresponding subnet".into());
    }
    for range in m.all("ip-range") {
        let inner = Net::parse(&range).ok_or_else(|| format!("invalid CIDR address: {range}"))?;
        put(&mut pools, inner.address, "IPRange", json!(range), || {
            format!("no matching subnet for range {range}")
        })?;
    }
    for gateway in m.all("gateway") {
        let address: IpAddr = gateway.parse().map_err(|_| format!("invalid gateway {gateway}"))?;
        put(&mut pools, address, "Gateway", json!(gateway), || {
            format!("no matching subnet for gateway {gateway}")
        })?;
    }
    for (name, value) in m.map("aux-address") {
        let text = value.as_str().unwrap_or_default().to_owned();
        let address: IpAddr =
            text.parse().map_err(|_| format!("no matching subnet for aux-address {text}"))?;
        let Some((_, pool)) =
            pools.iter_mut().find(|(net, _)| net.as_ref().is_some_and(|n| n.holds(address)))
        else {
            return Err(format!("no matching subnet for aux-address {text}"));
        };
        let slot = pool.entry("AuxiliaryAddresses").or_insert_with(|| json!({}));
        slot[name.as_str()] = value;
    }
    Ok(pools.into_iter().map(|(_, pool)| Value::Object(pool)).collect())
}

fn put(
    pools: &mut [(Option<Net>, Map<String, Value>)],
    address: IpAddr,
    key: &str,
    value: Value,
    missing: impl Fn() -> String,
) -> Result<(), String> {
    match pools.iter_mut().find(|(net, _)| net.as_ref().is_some_and(|n| n.holds(address))) {
        Some((_, pool)) if pool.contains_key(key) => Err(format!(
            "cannot configure multiple {} on the same subnet",
            if key == "Gateway" { "gateways" } else { "ranges" }
        )),
        Some((_, pool)) => {
            pool.insert(key.to_owned(), value);
            Ok(())
        }
        None => Err(missing()),
    }
}

/// A network in CIDR form.
struct Net {
    address: IpAddr,
    bits: u32,
}

impl Net {
    fn parse(text: &str) -> Option<Net> {
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Net { address, bits })
    }

    fn holds(&self, address: IpAddr) -> bool {
        fn number(address: IpAddr) -> u128 {
            match address {
                // Both families from the top bit down, so that one shift serves both.
                IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
                IpAddr::V6(v6) => v6.into(),
            }
        }
        let cut = |a: u128| if self.bits == 0 { 0 } else { a >> (128 - self.bits) };
        self.address.is_ipv4() == address.is_ipv4() && cut(number(self.address)) == cut(number(address))
    }

    fn overlaps(&self, other: &Net) -> bool {
        self.holds(other.address) || other.holds(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lie_in_their_networks() {
        let net = Net::parse("10.1.0.0/16").unwrap();
        assert!(net.holds("10.1.255.1".parse().unwrap()) && !net.holds("10.2.0.1".parse().unwrap()));
        assert!(Net::parse("fd00::/8").unwrap().holds("fd12::1".parse().unwrap()));
        assert!(net.overlaps(&Net::parse("10.0.0.0/8").unwrap()));
        assert!(Net::parse("10.0.0.0/33").is_none() && Net::parse("x").is_none());
    }
}
