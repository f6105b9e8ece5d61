//! What callers ask for: a network, a sandbox, an endpoint, a port.
//!
//! These are Docker's words with their texts already parsed; the server's door turns the wire into them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use gantry_names::ContainerId;
use serde::{Deserialize, Serialize};

use crate::mac::Mac;
use crate::prefix::Prefix;

/// A network to be made (`docker network create`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkSpec {
    /// Name, unique among the networks of this engine.
    pub name: String,
    /// `bridge` (also when empty), `macvlan`, `ipvlan`, `host` or `null`.
    pub driver: String,
    /// Address pools; empty means one from the default address pools.
    pub ipam: IpamSpec,
    /// No way out and no way in: only containers of this network reach each other.
    pub internal: bool,
    /// Kept and shown; of meaning to cluster scopes only.
    pub attachable: bool,
    /// IPv4 addresses on this network; `None` is yes.
    pub ipv4: Option<bool>,
    /// IPv6 addresses on this network; `None` is the configured default (no).
    pub ipv6: Option<bool>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options as typed (`com.docker.network.bridge.name`, `parent`, ...).
    pub options: BTreeMap<String, String>,
}

/// The addresses of a network to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IpamSpec {
    /// `default` (also when empty) or `null`.
    pub driver: String,
    /// Options of the address driver, kept and shown; none is not the same as no options.
    pub options: Option<BTreeMap<String, String>>,
    /// Pools asked for, of either family.
    pub pools: Vec<PoolSpec>,
}

/// One pool of addresses asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolSpec {
    /// The network's subnet; `None` takes one from the default address pools.
    pub subnet: Option<Prefix>,
    /// Containers get addresses from this part only.
    pub ip_range: Option<Prefix>,
    /// The gateway's address; `None` takes the first of the subnet (or of the range).
    pub gateway: Option<IpAddr>,
    /// Addresses in use by others on that network: name to address.
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// Which network namespace a container runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SandboxMode {
    /// One of its own (bridge networks, `none`, macvlan, ...).
    #[default]
    Private,
    /// The host's.
    Host,
}

/// The network side of a container: what does not depend on the networks it joins.
///
/// `--network container:X` makes no sandbox: the engine uses X's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// The container that owns the namespace.
    pub container: ContainerId,
    /// The container's name without a slash; a DNS name on user networks, and shown by `network inspect`.
    pub name: String,
    /// Own namespace or the host's.
    pub mode: SandboxMode,
    /// Host name (`--hostname`, else the short id) and domain for /etc/hosts.
    pub hostname: String,
    /// `--domainname`, may be empty.
    pub domainname: String,
    /// `--dns`, `--dns-search`, `--dns-option`; empty ones fall back to the engine's, then to the host's.
    pub dns: DnsSpec,
    /// `--add-host` as typed: `name:address` or `name=address`, address may be `host-gateway`.
    pub extra_hosts: Vec<String>,
    /// `-p` and `-P`, ranges unresolved. Published on the endpoint that carries the default route.
    pub ports: Vec<PortBinding>,
    /// Another container whose published ports this one waits for: it gets them when that one gives them up.
    #[serde(default)]
    pub heir_of: Option<ContainerId>,
    /// Where /etc/hosts, /etc/hostname and /etc/resolv.conf of this container are kept. When given, they are
    /// written at `create_sandbox` and kept up to date; the engine bind-mounts them.
    pub files: Option<SandboxFiles>,
}

/// Name service settings of a container or of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DnsSpec {
    /// Name servers.
    pub servers: Vec<IpAddr>,
    /// Search domains; a single `.` means none at all.
    pub search: Vec<String>,
    /// Resolver options.
    pub options: Vec<String>,
}

/// Host paths of the three files that a container sees under /etc.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxFiles {
    /// Becomes /etc/hosts.
    pub hosts: PathBuf,
    /// Becomes /etc/hostname.
    pub hostname: PathBuf,
    /// Becomes /etc/resolv.conf.
    pub resolv_conf: PathBuf,
}

/// One attachment of a sandbox to a network (`--network`, `docker network connect`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// The network by name, id or unique id prefix.
    pub network: String,
    /// `--ip`.
    pub ipv4: Option<IpAddr>,
    /// `--ip6`.
    pub ipv6: Option<IpAddr>,
    /// `--link-local-ip`.
    pub link_local: Vec<IpAddr>,
    /// `--mac-address`; `None` derives one from the address.
    pub mac: Option<Mac>,
    /// `--alias` / `--network-alias`: further names on this network.
    pub aliases: Vec<String>,
    /// `--link`.
    pub links: Vec<Link>,
    /// `gw-priority`: the highest carries the default route; equal ones are ordered by network name.
    pub gateway_priority: i64,
    /// `--driver-opt`: `com.docker.network.endpoint.sysctls`, `com.docker.network.endpoint.ifname`.
    pub driver_options: BTreeMap<String, String>,
}

/// A link to another container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The other container; on a user network it may come later, and counts by its name until then.
    pub container: Option<ContainerId>,
    /// The other container's name, as the link was asked for.
    #[serde(default)]
    pub name: String,
    /// The name it has for us.
    pub alias: String,
    /// Ports the other exposes: opened by the link on a network without `icc`.
    pub exposed: Vec<Port>,
}

/// A transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The IANA protocol number.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }

    /// `tcp`, `udp` or `sctp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A container's port, `80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Port {
    /// Port number.
    pub number: u16,
    /// Transport.
    pub protocol: Protocol,
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// Ports to publish. A run of ports is one binding, so that ten thousand cost what one costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortBinding {
    /// Transport.
    pub protocol: Protocol,
    /// First container port.
    pub container_port: u16,
    /// How many consecutive ports, at least 1.
    pub count: u16,
    /// Host address; `None` is the network's default (all addresses of both families).
    pub host_ip: Option<IpAddr>,
    /// Which host ports.
    pub host_port: HostPort,
}

/// Which host ports a binding takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostPort {
    /// Any free run from the host's ephemeral range.
    Any,
    /// Exactly from this port on (`-p 80:80`, `-p 8000-8009:80-89`).
    From(u16),
    /// Any one free port of this inclusive range (`-p 8000-8009:80`).
    OneOf(u16, u16),
}
