//! What is kept: networks, sandboxes, endpoints, and the trait that keeps them.
//!
//! An endpoint is one row: its addresses are the lease, its names are what DNS answers. There is no second table of
//! leases or names that could disagree with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use gantry_names::{ContainerId, EndpointId, NetworkId};
use serde::{Deserialize, Serialize};

use crate::mac::Mac;
use crate::ports::same_place;
use crate::prefix::Prefix;
use crate::spec::{HostPort, Link, PortBinding, Protocol, SandboxSpec};

/// How a network carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A bridge on this host, NAT to the outside.
    Bridge,
    /// Sub-interfaces with hardware addresses of their own on a parent.
    Macvlan,
    /// Sub-interfaces that share the parent's hardware address.
    Ipvlan,
    /// The host's own namespace.
    Host,
    /// Loopback only.
    Null,
}

impl Driver {
    /// Docker's word for the driver.
    pub fn as_str(self) -> &'static str {
        match self {
            Driver::Bridge => "bridge",
            Driver::Macvlan => "macvlan",
            Driver::Ipvlan => "ipvlan",
            Driver::Host => "host",
            Driver::Null => "null",
        }
    }
}

/// One address pool of a network, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet, host part zero.
    pub subnet: Prefix,
    /// Containers get addresses from here only.
    pub ip_range: Option<Prefix>,
    /// The gateway (on a bridge: the bridge's own address).
    pub gateway: Option<IpAddr>,
    /// Nobody asked for this gateway: it was chosen here.
    #[serde(default)]
    pub gateway_ours: bool,
    /// Addresses in use by others.
    pub aux_addresses: BTreeMap<String, IpAddr>,
    /// Whether the user chose the subnet (static addresses are allowed only then).
    pub configured: bool,
}

/// A network as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Identity.
    pub id: NetworkId,
    /// Unique name.
    pub name: String,
    /// Driver.
    pub driver: Driver,
    /// Unix time of creation in nanoseconds.
    pub created_ns: i64,
    /// Address pools, IPv4 first.
    pub pools: Vec<Pool>,
    /// `default` or `null`.
    pub ipam_driver: String,
    /// Options of the address driver.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Host-local without a way out.
    pub internal: bool,
    /// Kept and shown.
    pub attachable: bool,
    /// Whether containers get IPv4 addresses.
    pub ipv4: bool,
    /// Whether containers get IPv6 addresses.
    pub ipv6: bool,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options as typed.
    pub options: BTreeMap<String, String>,
    /// One of the engine's own networks: the default bridge, `host`, `none`. Cannot be removed.
    pub predefined: bool,
    /// Name of the bridge or parent interface on the host; empty for `host` and `null`.
    pub interface: String,
}

/// A run of published ports as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Transport.
    pub protocol: Protocol,
    /// Host address, unspecified for all of a family.
    pub host_ip: IpAddr,
    /// First host port.
    pub host_port: u16,
    /// First container port.
    pub container_port: u16,
    /// How many consecutive ports.
    pub count: u16,
}

/// An endpoint as it stands: one sandbox on one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Identity.
    pub id: EndpointId,
    /// The network.
    pub network: NetworkId,
    /// The container that owns the sandbox.
    pub container: ContainerId,
    /// The container's name, as `network inspect` shows it.
    pub name: String,
    /// Leased IPv4 address with the subnet's length.
    pub ipv4: Option<Prefix>,
    /// Leased IPv6 address with the subnet's length.
    pub ipv6: Option<Prefix>,
    /// IPv4 gateway, none on internal networks.
    pub gateway_v4: Option<IpAddr>,
    /// IPv6 gateway.
    pub gateway_v6: Option<IpAddr>,
    /// Further addresses asked for with `--link-local-ip`.
    pub link_local: Vec<IpAddr>,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// Interface name inside the sandbox, `eth0`.
    pub interface: String,
    /// The other end on the host, empty when there is none.
    pub host_interface: String,
    /// Names that DNS answers on this network: container name, aliases, short id, host name.
    pub dns_names: Vec<String>,
    /// The aliases as asked.
    pub aliases: Vec<String>,
    /// Links as asked.
    pub links: Vec<Link>,
    /// Who carries the default route: highest first.
    pub gateway_priority: i64,
    /// Driver options as asked.
    pub driver_options: BTreeMap<String, String>,
    /// Addresses asked for by the user (`IPAMConfig`).
    pub asked_ipv4: Option<IpAddr>,
    /// The same for IPv6.
    pub asked_ipv6: Option<IpAddr>,
    /// Ports published through this endpoint.
    pub ports: Vec<PublishedPort>,
}

/// One change of the kept rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Add or replace a network.
    PutNetwork(Network),
    /// Forget a network.
    RemoveNetwork(NetworkId),
    /// Add or replace an endpoint, and with it its lease and its names.
    PutEndpoint(Endpoint),
    /// Forget an endpoint.
    RemoveEndpoint(EndpointId),
    /// Add or replace a sandbox.
    PutSandbox(SandboxSpec),
    /// Forget a sandbox.
    RemoveSandbox(ContainerId),
}

/// All kept rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Every network.
    pub networks: Vec<Network>,
    /// Every endpoint.
    pub endpoints: Vec<Endpoint>,
    /// Every sandbox.
    pub sandboxes: Vec<SandboxSpec>,
}

/// Why rows could not be read or written; the cause is the keeper's.
#[derive(Debug, thiserror::Error)]
#[error("network records: {0}")]
pub struct RecordsError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Keeps rows over the engine's death. Implemented by the engine on its store.
pub trait Records: Send + Sync {
    /// Everything kept. A damaged row is left out and told by the keeper.
    fn load(&self) -> Result<Kept, RecordsError>;
    /// All of the changes or none, on disk when this returns.
    fn write(&self, changes: &[Change]) -> Result<(), RecordsError>;
}

/// Rows in memory, for tests and for engines without a disk.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    networks: BTreeMap<NetworkId, Network>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    sandboxes: BTreeMap<ContainerId, SandboxSpec>,
}

impl Records for Memory {
    fn load(&self) -> Result<Kept, RecordsError> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Kept {
            networks: rows.networks.values().cloned().collect(),
            endpoints: rows.endpoints.values().cloned().collect(),
            sandboxes: rows.sandboxes.values().cloned().collect(),
        })
    }

    fn write(&self, changes: &[Change]) -> Result<(), RecordsError> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes.iter().cloned() {
            match change {
                Change::PutNetwork(network) => drop(rows.networks.insert(network.id.clone(), network)),
                Change::RemoveNetwork(id) => drop(rows.networks.remove(&id)),
                Change::PutEndpoint(endpoint) => drop(rows.endpoints.insert(endpoint.id.clone(), endpoint)),
                Change::RemoveEndpoint(id) => drop(rows.endpoints.remove(&id)),
                Change::PutSandbox(sandbox) => {
                    drop(rows.sandboxes.insert(sandbox.container.clone(), sandbox))
                }
                Change::RemoveSandbox(id) => drop(rows.sandboxes.remove(&id)),
            }
        }
        Ok(())
    }
}

impl Endpoint {
    /// An endpoint that carries nothing: on `none` or `host`.
    pub fn bare(id: EndpointId, network: NetworkId, container: ContainerId, name: String) -> Endpoint {
        Endpoint {
            id,
            network,
            container,
            name,
            ipv4: None,
            ipv6: None,
            gateway_v4: None,
            gateway_v6: None,
            link_local: Vec::new(),
            mac: None,
            interface: String::new(),
            host_interface: String::new(),
            dns_names: Vec::new(),
            aliases: Vec::new(),
            links: Vec::new(),
            gateway_priority: 0,
            driver_options: BTreeMap::new(),
            asked_ipv4: None,
            asked_ipv6: None,
            ports: Vec::new(),
        }
    }

    /// Both leased addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        [self.ipv4, self.ipv6].into_iter().flatten().map(|prefix| prefix.address())
    }
}

impl PublishedPort {
    /// Whether every port keeps its number: such a run is a single interval for the kernel.
    pub fn keeps_numbers(&self) -> bool {
        self.host_port == self.container_port
    }
}

impl PortBinding {
    /// Whether what stands is what this asks for.
    pub fn is_met_by(&self, port: &PublishedPort) -> bool {
        let host_port = match self.host_port {
            HostPort::Any => true,
            HostPort::From(first) => first == port.host_port,
            HostPort::OneOf(first, last) => (first..=last).contains(&port.host_port),
        };
        host_port
            && (self.protocol, self.container_port, self.count)
                == (port.protocol, port.container_port, port.count)
            && self.host_ip.is_none_or(|ip| ip == port.host_ip)
    }

    /// Whether this asks for exactly those ports of the host that somebody has.
    pub fn clashes_with(&self, port: &PublishedPort) -> bool {
        let HostPort::From(first) = self.host_port else { return false };
        let last = first.saturating_add(self.count.saturating_sub(1));
        self.protocol == port.protocol
            && first <= port.host_port.saturating_add(port.count.saturating_sub(1))
            && port.host_port <= last
            && self.host_ip.is_none_or(|ip| same_place(ip, port.host_ip))
    }
}

/// A binding and the endpoint's view of it are the same thing at two times; kept for readers of the spec.
impl From<&PublishedPort> for PortBinding {
    fn from(port: &PublishedPort) -> PortBinding {
        PortBinding {
            protocol: port.protocol,
            container_port: port.container_port,
            count: port.count,
            host_ip: Some(port.host_ip),
            host_port: HostPort::From(port.host_port),
        }
    }
}
