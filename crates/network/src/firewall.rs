//! Packet rules: what they are ([`rules`]), who writes them, and how they are kept.
//!
//! The rules are a function of [`Facts`]. [`nftables`] writes them into the private table `inet gantry`, whole at start
//! and after somebody flushed it ([`watch`]), and one element at a time for what comes and goes. [`iptables`] is the
//! opt-in writer of the book's chains. [`neighbours`] keeps other firewalls of the host from dropping our packets.

use std::net::IpAddr;

use crate::failure::Error;
use crate::options::BridgeOptions;
use crate::prefix::Prefix;
use crate::record::{Driver, Endpoint, Network, Pool, PublishedPort};
use crate::spec::Port;

pub mod iptables;
pub mod neighbours;
pub mod nftables;
pub mod rules;
mod shift;
pub mod watch;

/// What the rules need to know of a bridge network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeFacts {
    /// Interface name.
    pub bridge: String,
    /// Subnets with their gateways.
    pub pools: Vec<Pool>,
    /// No way out and no way in.
    pub internal: bool,
    /// The options.
    pub options: BridgeOptions,
}

/// What the rules need to know of an endpoint on a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointFacts {
    /// Its bridge.
    pub bridge: BridgeFacts,
    /// Its interface on the host.
    pub host_interface: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
    /// Openings towards linked containers: their address and port.
    pub links: Vec<(IpAddr, Port)>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Every bridge network.
    pub bridges: Vec<BridgeFacts>,
    /// Every endpoint on one.
    pub endpoints: Vec<EndpointFacts>,
}

impl BridgeFacts {
    /// What the rules need to know of a network; `None` when it is no bridge.
    pub fn of(network: &Network) -> Option<BridgeFacts> {
        (network.driver == Driver::Bridge && !network.interface.is_empty()).then(|| BridgeFacts {
            bridge: network.interface.clone(),
            pools: network.pools.clone(),
            internal: network.internal,
            options: BridgeOptions::of(network),
        })
    }

    /// The subnets of one family.
    pub fn subnets(&self, ipv6: bool) -> impl Iterator<Item = Prefix> + '_ {
        self.pools.iter().map(|pool| pool.subnet).filter(move |subnet| subnet.is_ipv6() == ipv6)
    }
}

impl EndpointFacts {
    /// What the rules need to know of an endpoint.
    pub fn of(bridge: BridgeFacts, endpoint: &Endpoint, links: Vec<(IpAddr, Port)>) -> EndpointFacts {
        EndpointFacts {
            bridge,
            host_interface: endpoint.host_interface.clone(),
            addresses: endpoint.addresses().collect(),
            ports: endpoint.ports.clone(),
            links,
        }
    }

    /// The address of one family.
    pub fn address(&self, ipv6: bool) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| address.is_ipv6() == ipv6)
    }
}

/// Who writes the rules.
pub trait Writer: Send + Sync {
    /// Makes the rules what the facts say, whatever stands.
    fn assert(&self, facts: &Facts) -> Result<(), Error>;
    /// A network came.
    fn add_bridge(&self, bridge: &BridgeFacts) -> Result<(), Error>;
    /// A network went; its endpoints are gone already.
    fn remove_bridge(&self, bridge: &BridgeFacts) -> Result<(), Error>;
    /// An endpoint came, with its published ports and links.
    fn add_endpoint(&self, endpoint: &EndpointFacts) -> Result<(), Error>;
    /// An endpoint went.
    fn remove_endpoint(&self, endpoint: &EndpointFacts) -> Result<(), Error>;
    /// Endpoints that stand changed: what is theirs before and after. Whoever can does it in one step, so that no packet
    /// meets a moment between the two.
    fn change_endpoints(&self, before: &[EndpointFacts], after: &[EndpointFacts]) -> Result<(), Error>;
    /// Takes every rule away: the engine leaves the host for good.
    fn withdraw(&self, facts: &Facts) -> Result<(), Error>;
}

/// `--iptables=false`: the host's administrator writes the rules.
#[derive(Debug)]
pub struct Nobody;

impl Writer for Nobody {
    fn assert(&self, _: &Facts) -> Result<(), Error> {
        Ok(())
    }
    fn add_bridge(&self, _: &BridgeFacts) -> Result<(), Error> {
        Ok(())
    }
    fn remove_bridge(&self, _: &BridgeFacts) -> Result<(), Error> {
        Ok(())
    }
    fn add_endpoint(&self, _: &EndpointFacts) -> Result<(), Error> {
        Ok(())
    }
    fn remove_endpoint(&self, _: &EndpointFacts) -> Result<(), Error> {
        Ok(())
    }
    fn change_endpoints(&self, _: &[EndpointFacts], _: &[EndpointFacts]) -> Result<(), Error> {
        Ok(())
    }
    fn withdraw(&self, _: &Facts) -> Result<(), Error> {
        Ok(())
    }
}
