//! The name server at 127.0.0.11 inside every sandbox on a user network.
//!
//! Its sockets are opened inside the sandbox's namespace on ports of the kernel's choice; two stateless rules there turn
//! port 53 into them and back, so that a container may bind port 53 itself, and no connection tracking is switched on for
//! its traffic. What names mean is read from the rows of endpoints at the moment of the question ([`Names`]).
//!
//! [`message`] is the wire format, [`server`] the loop over questions, [`forward`] the way to other name servers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use gantry_names::ContainerId;

pub mod forward;
pub mod message;
pub mod server;

/// Where containers find it.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// Another name server, and from where it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// Its address.
    pub server: SocketAddr,
    /// Asked from inside the sandbox (`--dns`), not from the host.
    pub from_sandbox: bool,
}

/// What names mean to whom.
pub trait Names: Send + Sync {
    /// The addresses of a name as the sandbox sees it; `None` when the name is nobody's.
    fn forward(&self, asker: &Asker, name: &str) -> Option<Vec<IpAddr>>;
    /// The name of an address as the sandbox sees it.
    fn reverse(&self, asker: &Asker, address: IpAddr) -> Option<String>;
    /// Who is asked about everything else.
    fn upstreams(&self, asker: &Asker) -> Vec<Upstream>;
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// A process in this container's sandbox.
    Sandbox(ContainerId),
    /// A program of the host, about names under a suffix.
    Host(String),
}
