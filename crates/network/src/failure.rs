//! Why a network operation failed, in Docker's words. Plain data: nothing here imports another module of the crate.

use std::net::IpAddr;

use gantry_errdefs::{Class, Classified};

/// Why a network operation failed. `Display` is the text a client sees.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is documented by the text it prints")]
pub enum Error {
    #[error("network {0} not found")]
    NetworkNotFound(String),
    #[error("network {0} is ambiguous ({1} matches found based on ID prefix)")]
    NetworkAmbiguous(String, usize),
    #[error("network with name {0} already exists")]
    NetworkExists(String),
    #[error("invalid name: name is empty")]
    NetworkName,
    #[error("{0} is a pre-defined network and cannot be removed")]
    Predefined(String),
    #[error("operation is not permitted on predefined {0} network")]
    PredefinedName(String),
    #[error("only one instance of \"{0}\" network is allowed")]
    OnlyOne(&'static str),
    #[error("error while removing network: network {name} has active endpoints ({endpoints})")]
    ActiveEndpoints { name: String, endpoints: String },
    #[error("plugin \"{0}\" not found")]
    Driver(String),
    #[error("invalid network config:\n{0}")]
    InvalidNetwork(String),
    #[error("failed to parse {option} value: {value} ({why})")]
    OptionValue { option: String, value: String, why: String },
    #[error("invalid option {option}: {why}")]
    InvalidOption { option: String, why: String },
    #[error(
        "cannot create network {id} ({bridge}): conflicts with network {other_id} ({other_bridge}): {what}"
    )]
    NetworkConflict { id: String, bridge: String, other_id: String, other_bridge: String, what: &'static str },
    #[error("invalid pool request: Pool overlaps with other one on this address space")]
    PoolOverlaps,
    #[error("all predefined address pools have been fully subnetted")]
    NoFreePool,
    #[error("no available IPv{family} addresses on this network's address pools: {network} ({id})")]
    PoolFull { family: u8, network: String, id: String },
    #[error("Address already in use")]
    AddressInUse(IpAddr),
    #[error("plugin {0:?} not found")]
    NoAddressDriver(String),
    #[error("loopback interface is not a valid {0} parent link")]
    Loopback(&'static str),
    #[error("invalid endpoint settings:\n{why}")]
    InvalidEndpoint { network: String, why: String },
    #[error("endpoint with name {name} already exists in network {network}")]
    EndpointExists { name: String, network: String },
    #[error("container {container} is not connected to network {network}")]
    NotConnected { container: String, network: String },
    #[error("container cannot be disconnected from host network or connected to host network")]
    HostMode,
    #[error(
        "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    )]
    NoneMode,
    #[error("network sandbox for container {0} not found")]
    SandboxNotFound(String),
    #[error("network sandbox for container {0} already exists")]
    SandboxExists(String),
    #[error("driver failed programming external connectivity on endpoint {name} ({endpoint}): {cause}")]
    Ports { name: String, endpoint: String, cause: Box<PortError> },
    #[error("invalid extra host {0:?}: expected name:address")]
    ExtraHost(String),
    #[error("unable to derive the IP value for host-gateway")]
    HostGateway,
    #[error(
        "{0}: not permitted: the engine needs the capability CAP_NET_ADMIN in its network namespace, or the flags --bridge=none \
         --iptables=false"
    )]
    NotPermitted(String),
    #[error("this kernel lacks {0}")]
    KernelLacks(&'static str),
    #[error(
        "another engine (process {process}) keeps {what} of this host: stop it, or give this engine a network namespace of \
         its own, or start it with --bridge=none --iptables=false"
    )]
    Claimed { what: String, process: String },
    #[error("{what}: interface {name} not found on this host")]
    NoInterface { what: &'static str, name: String },
    #[error("the container has an interface {name} already: name another one with -i")]
    PresentInside { name: String },
    #[error("interface {name} not found in the container")]
    NoSuchInside { name: String },
    #[error("bridge device with non default name {0} must be created manually")]
    ExternalBridge(String),
    #[error("{what}: {cause}")]
    Kernel {
        what: String,
        #[source]
        cause: gantry_netlink::Error,
    },
    #[error("{what}: {cause}")]
    Io {
        what: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("{0}")]
    Iptables(String),
    #[error(transparent)]
    Records(#[from] crate::record::RecordsError),
}

/// Why a port could not be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is documented by the text it prints")]
pub enum PortError {
    /// Another container has it.
    #[error("Bind for {0} failed: port is already allocated")]
    Allocated(std::net::SocketAddr),
    /// Every port of the asked range is taken.
    #[error("Bind for {ip}:{first}-{last} failed: all ports are allocated", ip = bracketed(.ip))]
    AllAllocated { ip: IpAddr, first: u16, last: u16 },
    /// A program of the host has it, or the address is not the host's.
    #[error("failed to bind host port for {host}:{container}/{protocol}: {why}")]
    Bind { host: std::net::SocketAddr, container: String, protocol: &'static str, why: String },
    /// A run of ports that ends past 65535, or is empty.
    #[error("invalid port range {0}+{1}")]
    Range(u16, u16),
}

fn bracketed(ip: &IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Error::NetworkNotFound(_)
            | Error::Driver(_)
            | Error::NoAddressDriver(_)
            | Error::SandboxNotFound(_) => Class::NotFound,
            Error::NetworkExists(_) | Error::SandboxExists(_) => Class::Conflict,
            Error::Predefined(_)
            | Error::PredefinedName(_)
            | Error::OnlyOne(_)
            | Error::ActiveEndpoints { .. }
            | Error::NetworkConflict { .. }
            | Error::PoolOverlaps
            | Error::AddressInUse(_)
            | Error::EndpointExists { .. }
            | Error::NotConnected { .. }
            | Error::HostMode
            | Error::NoneMode => Class::Forbidden,
            Error::NetworkAmbiguous(..)
            | Error::NetworkName
            | Error::InvalidNetwork(_)
            | Error::InvalidOption { .. }
            | Error::OptionValue { .. }
            | Error::NoFreePool
            | Error::InvalidEndpoint { .. }
            | Error::Loopback(_)
            | Error::ExtraHost(_)
            | Error::HostGateway => Class::InvalidArgument,
            Error::PoolFull { .. } => Class::Unavailable,
            Error::NotPermitted(_) => Class::Forbidden,
            Error::KernelLacks(_) => Class::NotImplemented,
            Error::NoInterface { .. } | Error::ExternalBridge(_) | Error::NoSuchInside { .. } => {
                Class::InvalidArgument
            }
            Error::PresentInside { .. } | Error::Claimed { .. } => Class::Conflict,
            Error::Ports { .. } | Error::Kernel { .. } | Error::Iptables(_) | Error::Records(_) => {
                Class::Internal
            }
            Error::Io { cause, .. } => cause.class(),
        }
    }
}
