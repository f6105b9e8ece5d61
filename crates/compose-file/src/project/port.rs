use super::Extensions;

/// A container's port, and where the host shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Port {
    /// For people.
    pub name: String,
    /// `ingress` or `host`: a cluster's difference.
    pub mode: String,
    /// The host's address; empty: all.
    pub host_ip: String,
    /// The container's port.
    pub target: u16,
    /// The host's port, a range `8000-8010` to choose from, or empty: any.
    pub published: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// For people and tools.
    pub app_protocol: String,
    /// The user's own.
    pub extensions: Extensions,
}
