use super::{Extensions, Pairs};

/// A network of the project.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Network {
    /// The engine's name for it.
    pub name: String,
    /// Empty: the engine's default.
    pub driver: String,
    /// The driver's options.
    pub driver_opts: Pairs,
    /// Its addresses.
    pub ipam: Ipam,
    /// It is there already and stays.
    pub external: bool,
    /// Without a way out.
    pub internal: bool,
    /// Single containers of a cluster may join.
    pub attachable: bool,
    /// Labels.
    pub labels: Pairs,
    /// IPv4 addresses; not given: the engine's default.
    pub enable_ipv4: Option<bool>,
    /// IPv6 addresses; not given: the engine's default.
    pub enable_ipv6: Option<bool>,
    /// The user's own.
    pub extensions: Extensions,
}

/// Where a network's addresses come from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ipam {
    /// Empty: the engine's.
    pub driver: String,
    /// Its pools.
    pub config: Vec<IpamPool>,
    /// The driver's options.
    pub options: Pairs,
    /// The user's own.
    pub extensions: Extensions,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IpamPool {
    /// `address/bits`.
    pub subnet: String,
    /// The host's address in it.
    pub gateway: String,
    /// The part that containers get addresses of.
    pub ip_range: String,
    /// Addresses that are taken, by name.
    pub aux_addresses: Pairs,
    /// The user's own.
    pub extensions: Extensions,
}
