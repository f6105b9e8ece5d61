//! Driver options of networks and endpoints: Docker's keys, parsed once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gantry_netlink::link::{IpvlanFlag, IpvlanMode, MacvlanMode};

use crate::failure::Error;
use crate::record::Network;

/// Interface name of the bridge.
pub const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// Containers of the bridge may talk to each other.
pub const ICC: &str = "com.docker.network.bridge.enable_icc";
/// Source addresses are rewritten on the way out.
pub const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// Host address of published ports that name none.
pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// Source address on the way out instead of the interface's own.
pub const HOST_IPV4: &str = "com.docker.network.host_ipv4";
/// The same for IPv6.
pub const HOST_IPV6: &str = "com.docker.network.host_ipv6";
/// Maximum transfer unit.
pub const MTU: &str = "com.docker.network.driver.mtu";
/// How packets from outside reach containers over IPv4.
pub const GATEWAY_MODE_V4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
/// The same for IPv6.
pub const GATEWAY_MODE_V6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
/// The default bridge.
pub const DEFAULT_BRIDGE: &str = "com.docker.network.bridge.default_bridge";
/// Prefix of interface names inside containers, `eth`.
pub const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
/// Sysctls of one endpoint's interface, comma separated, with `IFNAME` for its name.
pub const ENDPOINT_SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
/// Name of one endpoint's interface.
pub const ENDPOINT_INTERFACE: &str = "com.docker.network.endpoint.ifname";

/// How packets from outside reach containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GatewayMode {
    /// Published ports on the host's addresses only.
    #[default]
    Nat,
    /// Published ports on the host's addresses; container addresses reachable as well.
    NatUnprotected,
    /// Published ports on the containers' own addresses, no rewriting.
    Routed,
    /// No way in or out over this family, not even for the host.
    Isolated,
}

/// What a bridge network's options mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeOptions {
    /// Containers may talk to each other.
    pub icc: bool,
    /// Source addresses are rewritten on the way out.
    pub masquerade: bool,
    /// Host address of published ports that name none.
    pub host_binding: Option<IpAddr>,
    /// Source address on the way out.
    pub source_v4: Option<IpAddr>,
    /// The same for IPv6.
    pub source_v6: Option<IpAddr>,
    /// Maximum transfer unit, 0 for the kernel's.
    pub mtu: u32,
    /// IPv4.
    pub mode_v4: GatewayMode,
    /// IPv6.
    pub mode_v6: GatewayMode,
    /// Prefix of interface names.
    pub prefix: String,
}

/// Docker's text, with Go's name for how the value was read.
fn invalid(option: &str, value: &str) -> Error {
    let why = match option {
        ICC | MASQUERADE => format!("strconv.ParseBool: parsing {value:?}: invalid syntax"),
        MTU => format!("strconv.Atoi: parsing {value:?}: invalid syntax"),
        _ => "not understood".to_owned(),
    };
    Error::OptionValue { option: option.to_owned(), value: value.to_owned(), why }
}

fn read<T>(
    options: &BTreeMap<String, String>,
    key: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    match options.get(key) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => parse(value).map(Some).ok_or_else(|| invalid(key, value)),
    }
}

/// Go's `strconv.ParseBool`.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn mode(text: &str) -> Option<GatewayMode> {
    match text {
        "nat" => Some(GatewayMode::Nat),
        "nat-unprotected" => Some(GatewayMode::NatUnprotected),
        "routed" => Some(GatewayMode::Routed),
        "isolated" => Some(GatewayMode::Isolated),
        _ => None,
    }
}

impl BridgeOptions {
    /// Reads the options of a bridge network.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<BridgeOptions, Error> {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        Ok(BridgeOptions {
            icc: read(options, ICC, truth)?.unwrap_or(true),
            masquerade: read(options, MASQUERADE, truth)?.unwrap_or(true),
            host_binding: read(options, HOST_BINDING, address)?,
            source_v4: read(options, HOST_IPV4, address)?.filter(IpAddr::is_ipv4),
            source_v6: read(options, HOST_IPV6, address)?.filter(IpAddr::is_ipv6),
            mtu: read(options, MTU, |text| text.parse().ok())?.unwrap_or(0),
            mode_v4: read(options, GATEWAY_MODE_V4, mode)?.unwrap_or_default(),
            mode_v6: read(options, GATEWAY_MODE_V6, mode)?.unwrap_or_default(),
            prefix: options.get(INTERFACE_PREFIX).cloned().unwrap_or_else(|| "eth".to_owned()),
        })
    }

    /// The options of a network whose record was checked when it was made.
    pub fn of(network: &Network) -> BridgeOptions {
        BridgeOptions::parse(&network.options).unwrap_or_else(|_| {
            BridgeOptions::parse(&BTreeMap::new()).expect("no option at all is understood")
        })
    }

    /// How packets of a family reach the containers.
    pub fn mode(&self, ipv6: bool) -> GatewayMode {
        if ipv6 { self.mode_v6 } else { self.mode_v4 }
    }
}

/// What a macvlan network's options mean.
pub fn macvlan_mode(options: &BTreeMap<String, String>) -> Result<MacvlanMode, Error> {
    let parse = |text: &str| match text {
        "bridge" => Some(MacvlanMode::Bridge),
        "private" => Some(MacvlanMode::Private),
        "vepa" => Some(MacvlanMode::Vepa),
        "passthru" => Some(MacvlanMode::Passthru),
        _ => None,
    };
    Ok(read(options, "macvlan_mode", parse)?.unwrap_or(MacvlanMode::Bridge))
}

/// What an ipvlan network's options mean.
pub fn ipvlan_mode(options: &BTreeMap<String, String>) -> Result<(IpvlanMode, IpvlanFlag), Error> {
    let mode = |text: &str| match text {
        "l2" => Some(IpvlanMode::L2),
        "l3" => Some(IpvlanMode::L3),
        "l3s" => Some(IpvlanMode::L3s),
        _ => None,
    };
    let flag = |text: &str| match text {
        "bridge" => Some(IpvlanFlag::Bridge),
        "private" => Some(IpvlanFlag::Private),
        "vepa" => Some(IpvlanFlag::Vepa),
        _ => None,
    };
    Ok((
        read(options, "ipvlan_mode", mode)?.unwrap_or(IpvlanMode::L2),
        read(options, "ipvlan_flag", flag)?.unwrap_or(IpvlanFlag::Bridge),
    ))
}

/// The sysctls of an endpoint: `net.ipv4.conf.IFNAME.log_martians=1,...` as paths below /proc/sys and values.
pub fn endpoint_sysctls(
    options: &BTreeMap<String, String>,
    interface: &str,
) -> Result<Vec<(String, String)>, Error> {
    let Some(text) = options.get(ENDPOINT_SYSCTLS) else { return Ok(Vec::new()) };
    text.split(',')
        .map(|setting| {
            let bad = || invalid(ENDPOINT_SYSCTLS, setting);
            let (name, value) = setting.trim().split_once('=').ok_or_else(bad)?;
            let parts: Vec<&str> = name.split('.').collect();
            match parts.as_slice() {
                ["net", family @ ("ipv4" | "ipv6" | "mpls"), kind @ ("conf" | "neigh"), "IFNAME", rest]
                    if rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') =>
                {
                    Ok((format!("net/{family}/{kind}/{interface}/{rest}"), value.to_owned()))
                }
                _ => Err(bad()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_told_with_its_key() {
        let options = BTreeMap::from([(ICC.to_owned(), "perhaps".to_owned())]);
        let error = BridgeOptions::parse(&options).unwrap_err().to_string();
        assert!(error.contains("enable_icc") && error.contains("perhaps"), "{error}");
        assert!(BridgeOptions::parse(&BTreeMap::new()).unwrap().icc);
    }

    #[test]
    fn sysctls_stay_on_their_interface() {
        let options = |text: &str| BTreeMap::from([(ENDPOINT_SYSCTLS.to_owned(), text.to_owned())]);
        let good = endpoint_sysctls(&options("net.ipv4.conf.IFNAME.log_martians=1"), "eth0").unwrap();
        assert_eq!(good, [("net/ipv4/conf/eth0/log_martians".to_owned(), "1".to_owned())]);
        for bad in ["net.ipv4.ip_forward=1", "net.ipv4.conf.eth1.x=1", "net.ipv4.conf.IFNAME.a/../b=1", "x"] {
            assert!(endpoint_sysctls(&options(bad), "eth0").is_err(), "{bad}");
        }
    }
}
