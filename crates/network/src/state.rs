//! What the owner knows at this moment: rows by id, and what of them stands in the kernel.
//!
//! Everything here is memory. The lock around it is held for decisions only, never over a system call that waits or a
//! write to disk.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use gantry_names::{ContainerId, EndpointId, NetworkId};

use crate::dns::server::Server;
use crate::failure::Error;
use crate::firewall::{BridgeFacts, EndpointFacts, Facts};
use crate::ports::{self, hold::Hold};
use crate::prefix::Prefix;
use crate::record::{Driver, Endpoint, Network};
use crate::spec::{Port, PortBinding, SandboxSpec};

/// A network and whether its rules are written.
#[derive(Debug)]
pub struct HeldNetwork {
    pub record: Network,
    pub ruled: bool,
    /// On its way out: no new endpoints.
    pub leaving: bool,
}

/// An endpoint and what is kept for it.
#[derive(Debug)]
pub struct HeldEndpoint {
    pub record: Endpoint,
    /// The host's ports, kept from the host's programs.
    pub holds: Vec<Hold>,
    /// Its rules are written.
    pub ruled: bool,
    /// It is set up and its names are answered.
    pub live: bool,
}

/// A sandbox.
#[derive(Debug)]
pub struct HeldSandbox {
    pub spec: SandboxSpec,
    /// The namespace's file; none in the host's own namespace.
    pub path: Option<PathBuf>,
    /// Its name server, when it is on a user network.
    pub server: Option<Server>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct State {
    pub networks: BTreeMap<NetworkId, HeldNetwork>,
    pub endpoints: BTreeMap<EndpointId, HeldEndpoint>,
    pub sandboxes: BTreeMap<ContainerId, HeldSandbox>,
    pub ports: ports::Table,
    /// Turns with every answer of several addresses.
    pub turn: usize,
}

impl State {
    /// A network by full id, name, or unique prefix of an id, in this order.
    pub fn find(&self, wanted: &str) -> Result<&Network, Error> {
        let all = || self.networks.values().map(|held| &held.record);
        if let Some(network) =
            all().find(|n| n.id.as_str() == wanted).or_else(|| all().find(|n| n.name == wanted))
        {
            return Ok(network);
        }
        let mut matches = all().filter(|n| !wanted.is_empty() && n.id.as_str().starts_with(wanted));
        match (matches.next(), matches.count()) {
            (Some(network), 0) => Ok(network),
            (Some(_), more) => Err(Error::NetworkAmbiguous(wanted.to_owned(), more + 1)),
            (None, _) => Err(Error::NetworkNotFound(wanted.to_owned())),
        }
    }

    /// The endpoints of a network.
    pub fn on<'s>(&'s self, network: &NetworkId) -> impl Iterator<Item = &'s HeldEndpoint> {
        self.endpoints.values().filter(move |held| held.record.network == *network)
    }

    /// The endpoints of a container.
    pub fn of<'s>(&'s self, container: &ContainerId) -> impl Iterator<Item = &'s HeldEndpoint> {
        self.endpoints.values().filter(move |held| held.record.container == *container)
    }

    /// Every leased address of a network.
    pub fn leases(&self, network: &NetworkId) -> BTreeSet<IpAddr> {
        self.on(network).flat_map(|held| held.record.addresses()).collect()
    }

    /// Every subnet in use by networks that share the host's routing.
    pub fn subnets(&self) -> impl Iterator<Item = (&Network, Prefix)> {
        let routed =
            |n: &&HeldNetwork| matches!(n.record.driver, Driver::Bridge | Driver::Macvlan | Driver::Ipvlan);
        self.networks
            .values()
            .filter(routed)
            .flat_map(|held| held.record.pools.iter().map(move |pool| (&held.record, pool.subnet)))
    }

    /// Who carries the default route of a container: the highest priority, then the network's name.
    pub fn gateway(&self, container: &ContainerId) -> Option<&Endpoint> {
        self.of(container)
            .map(|held| &held.record)
            .filter(|endpoint| endpoint.gateway_v4.is_some() || endpoint.gateway_v6.is_some())
            .min_by_key(|endpoint| {
                let name = self.networks.get(&endpoint.network).map_or("", |held| held.record.name.as_str());
                (std::cmp::Reverse(endpoint.gateway_priority), name)
            })
    }

    /// The container that waits for this one's ports, if its network stands.
    pub fn heir(&self, holder: &ContainerId) -> Option<&ContainerId> {
        let waits = |sandbox: &&HeldSandbox| sandbox.spec.heir_of.as_ref() == Some(holder);
        let mut heirs = self.sandboxes.values().filter(waits).map(|sandbox| &sandbox.spec.container);
        heirs.find(|heir| self.of(heir).any(|held| held.ruled))
    }

    /// What a container asks to have published and has not yet.
    pub fn unpublished(&self, container: &ContainerId) -> Vec<PortBinding> {
        let asked = self.sandboxes.get(container).map(|sandbox| sandbox.spec.ports.as_slice());
        let has = |binding: &PortBinding| {
            self.of(container).flat_map(|held| &held.record.ports).any(|port| binding.is_met_by(port))
        };
        asked.unwrap_or_default().iter().filter(|binding| !has(binding)).cloned().collect()
    }

    /// The same without what the container waits for until the one before it gives it up.
    pub fn due(&self, container: &ContainerId) -> Vec<PortBinding> {
        let holder = self.sandboxes.get(container).and_then(|sandbox| sandbox.spec.heir_of.as_ref());
        let mut bindings = self.unpublished(container);
        if let Some(holder) = holder {
            let kept = |binding: &PortBinding| {
                self.of(holder).flat_map(|held| &held.record.ports).any(|port| binding.clashes_with(port))
            };
            bindings.retain(|binding| !kept(binding));
        }
        bindings
    }

    /// What the rules need to know of an endpoint; `None` when it is on no bridge.
    pub fn endpoint_facts(&self, endpoint: &Endpoint) -> Option<EndpointFacts> {
        let network = self.networks.get(&endpoint.network)?;
        let bridge = BridgeFacts::of(&network.record)?;
        Some(EndpointFacts::of(bridge, endpoint, self.openings(endpoint)))
    }

    /// Who has an opening towards an endpoint's container, as far as rules are.
    pub fn linked_to(&self, target: &Endpoint) -> Vec<EndpointFacts> {
        let links = |held: &&HeldEndpoint| {
            held.record.links.iter().any(|link| link.container.as_ref() == Some(&target.container))
        };
        let others = self.on(&target.network).filter(|held| held.ruled && held.record.id != target.id);
        others.filter(links).filter_map(|held| self.endpoint_facts(&held.record)).collect()
    }

    /// The linked containers' addresses and exposed ports, as far as they stand on the same network.
    fn openings(&self, endpoint: &Endpoint) -> Vec<(IpAddr, Port)> {
        let mut out = Vec::new();
        for link in &endpoint.links {
            let Some(other) = &link.container else { continue };
            let target = self.of(other).find(|held| held.ruled && held.record.network == endpoint.network);
            for address in target.into_iter().flat_map(|held| held.record.addresses()) {
                out.extend(link.exposed.iter().map(|port| (address, *port)));
            }
        }
        out.sort();
        out.dedup();
        out
    }

    /// What the rules should be.
    pub fn facts(&self) -> Facts {
        let networks = self.networks.values().filter(|held| held.ruled);
        let endpoints = self.endpoints.values().filter(|held| held.ruled);
        Facts {
            bridges: networks.filter_map(|held| BridgeFacts::of(&held.record)).collect(),
            endpoints: endpoints.filter_map(|held| self.endpoint_facts(&held.record)).collect(),
        }
    }

    /// Whether a container is on any network with the embedded name server.
    pub fn is_named(&self, container: &ContainerId) -> bool {
        self.of(container).any(|held| self.has_names(&held.record.network))
    }

    /// Whether names are answered on a network: on all but the engine's own.
    pub fn has_names(&self, network: &NetworkId) -> bool {
        self.networks.get(network).is_some_and(|held| !held.record.predefined)
    }
}
