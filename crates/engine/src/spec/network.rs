//! Ports and endpoints as they were asked for.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A port's protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP
    #[default]
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl Protocol {
    /// The word in `80/tcp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

/// A port of the container: `80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSpec {
    /// 1 to 65535.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl std::fmt::Display for PortSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol.as_str())
    }
}

/// Why a text is not a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Not a number from 1 to 65535.
    #[error("invalid containerPort: {0}")]
    Port(String),
    /// Not a protocol we know.
    #[error("invalid proto: {0}")]
    Protocol(String),
}

impl std::str::FromStr for PortSpec {
    type Err = PortError;
    fn from_str(text: &str) -> Result<PortSpec, PortError> {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "tcp" | "" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return Err(PortError::Protocol(protocol.to_owned())),
        };
        match port.parse() {
            Ok(port) if port > 0 => Ok(PortSpec { port, protocol }),
            _ => Err(PortError::Port(port.to_owned())),
        }
    }
}

impl Serialize for PortSpec {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for PortSpec {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<PortSpec, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The host's side of a published port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostBinding {
    /// `None`: every address.
    pub ip: Option<IpAddr>,
    /// First and last port to choose from; `None` for any free one.
    pub ports: Option<(u16, u16)>,
}

/// How a container joins one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSpec {
    /// Further DNS names.
    pub aliases: Vec<String>,
    /// `container:alias`, seen on this network only.
    pub links: Vec<String>,
    /// A wished IPv4 address.
    pub ipv4: Option<IpAddr>,
    /// A wished IPv6 address.
    pub ipv6: Option<IpAddr>,
    /// Link-local addresses.
    pub link_local_ips: Vec<IpAddr>,
    /// A wished MAC address; empty without one.
    pub mac_address: String,
    /// The network driver's options for this endpoint.
    pub driver_opts: BTreeMap<String, String>,
    /// The highest gives the default route.
    pub gw_priority: i64,
}
