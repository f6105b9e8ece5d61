//! `docker network connect`, and the networks of a container at its start.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use gantry_names::{ContainerId, EndpointId};
use gantry_netlink::{Service, Socket};

use super::{Networks, Shared, inside};
use crate::driver::{carrier, kernel};
use crate::failure::Error;
use crate::ipam;
use crate::mac::Mac;
use crate::options::{self, BridgeOptions};
use crate::prefix::Prefix;
use crate::record::{Change, Driver, Endpoint, Network, Pool};
use crate::spec::{EndpointSpec, SandboxMode};
use crate::state::{HeldEndpoint, State};

impl Networks {
    /// What can be told about an attachment before anything is made: the network and what is asked of it.
    pub fn check(&self, spec: &EndpointSpec) -> Result<Network, Error> {
        let state = self.shared.state();
        let network = state.find(&spec.network)?;
        check(network, spec)?;
        Ok(network.clone())
    }

    /// Attaches a sandbox to networks: all of them or none. The sandbox's ports are published on the endpoint that carries
    /// the default route. `host` and `none` make no endpoints.
    pub fn connect(&self, container: &ContainerId, specs: &[EndpointSpec]) -> Result<Vec<Endpoint>, Error> {
        let shared = &self.shared;
        let before = shared.state().gateway(container).map(|endpoint| endpoint.id.clone());
        let reserved = shared.reserve(container, specs)?;
        if reserved.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<EndpointId> = reserved.iter().map(|endpoint| endpoint.id.clone()).collect();
        match shared.attach_all(&ids, before.as_ref()) {
            Ok(()) => {
                let state = shared.state();
                let record = |id| state.endpoints.get(id).map(|held| held.record.clone());
                Ok(ids.iter().filter_map(record).collect())
            }
            Err(error) => {
                for endpoint in reserved.iter().rev() {
                    shared.undo(endpoint);
                }
                Err(error)
            }
        }
    }

    /// Gives a container's endpoints its new name.
    pub fn rename(&self, container: &ContainerId, new_name: &str) -> Result<(), Error> {
        let shared = &self.shared;
        let changes = {
            let mut state = shared.state();
            let mut changes = Vec::new();
            for held in state.endpoints.values_mut().filter(|held| held.record.container == *container) {
                let endpoint = &mut held.record;
                for name in endpoint.dns_names.iter_mut().filter(|name| **name == endpoint.name) {
                    *name = new_name.to_owned();
                }
                endpoint.name = new_name.to_owned();
                changes.push(Change::PutEndpoint(endpoint.clone()));
            }
            if let Some(sandbox) = state.sandboxes.get_mut(container) {
                sandbox.spec.name = new_name.to_owned();
                changes.push(Change::PutSandbox(sandbox.spec.clone()));
            }
            changes
        };
        shared.write(&changes)
    }
}

const STATIC_NEEDS_SUBNET: &str =
    "user specified IP address is supported only when connecting to networks with user configured subnets";

/// Checks what is asked of a network by itself; the words are Docker's.
fn check(network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
    let asked: Vec<IpAddr> = spec.ipv4.into_iter().chain(spec.ipv6).collect();
    let wrong = |why: String| Error::InvalidEndpoint { network: network.name.clone(), why };
    if network.predefined {
        let mut all = Vec::new();
        if !asked.is_empty() {
            all.push("user specified IP address is supported on user defined networks only");
        }
        if !spec.aliases.is_empty() {
            all.push("network-scoped aliases are only supported for user-defined networks");
        }
        if !asked.is_empty() && !network.pools.iter().any(|pool| pool.configured) {
            all.push(STATIC_NEEDS_SUBNET);
        }
        return match all.as_slice() {
            [] => Ok(()),
            [one] => Err(wrong((*one).to_owned())),
            several => {
                Err(wrong(several.iter().map(|why| format!("* {why}")).collect::<Vec<_>>().join("\n")))
            }
        };
    }
    options::endpoint_sysctls(&spec.driver_options, "eth0")?;
    // As Docker: an IPv6 address on a network without IPv6 is left aside.
    for address in asked.into_iter().filter(|address| network.ipv6 || !address.is_ipv6()) {
        let family = |pool: &&Pool| pool.subnet.is_ipv6() == address.is_ipv6();
        if !network.pools.iter().filter(family).any(|pool| pool.configured) {
            return Err(wrong(STATIC_NEEDS_SUBNET.to_owned()));
        }
        if !network.pools.iter().any(|pool| pool.subnet.contains(address)) {
            return Err(wrong(format!("no configured subnet or ip-range contain the IP address {address}")));
        }
    }
    Ok(())
}

impl Shared {
    /// Decides everything about new endpoints and reserves it: addresses, names of interfaces, ports.
    fn reserve(&self, container: &ContainerId, specs: &[EndpointSpec]) -> Result<Vec<Endpoint>, Error> {
        let mut state = self.state();
        let mut made = Vec::new();
        let reserved = specs.iter().try_for_each(|spec| {
            if let Some(endpoint) = decide(self, &state, container, spec)? {
                let held =
                    HeldEndpoint { record: endpoint.clone(), holds: Vec::new(), ruled: false, live: false };
                state.endpoints.insert(endpoint.id.clone(), held);
                made.push(endpoint);
            }
            Ok(())
        });
        let published = reserved.and_then(|()| self.choose_ports(&mut state, container));
        if let Err(error) = published {
            for endpoint in &made {
                state.endpoints.remove(&endpoint.id);
                state.ports.release(&endpoint.id);
            }
            return Err(error);
        }
        Ok(made)
    }

    /// Makes reserved endpoints stand.
    fn attach_all(self: &Arc<Self>, ids: &[EndpointId], before: Option<&EndpointId>) -> Result<(), Error> {
        let (endpoints, gateway) = {
            let state = self.state();
            let endpoints: Vec<Endpoint> =
                ids.iter().filter_map(|id| state.endpoints.get(id)).map(|held| held.record.clone()).collect();
            let container = endpoints.first().map(|endpoint| endpoint.container.clone());
            (endpoints, container.and_then(|container| state.gateway(&container).map(|e| e.id.clone())))
        };
        self.write(&endpoints.iter().cloned().map(Change::PutEndpoint).collect::<Vec<_>>())?;
        for endpoint in &endpoints {
            self.attach(endpoint, gateway.as_ref() == Some(&endpoint.id))?;
            self.write_rules(endpoint)?;
        }
        let Some(first) = endpoints.first() else { return Ok(()) };
        self.set_live(ids, true);
        self.start_names(first)?;
        // The old gateway's ports move last: until then it serves.
        if gateway.as_ref() != before {
            self.move_ports(&first.container, before)?;
        }
        self.add_to_files(&endpoints)
    }

    fn set_live(&self, ids: &[EndpointId], live: bool) {
        let mut state = self.state();
        for id in ids {
            if let Some(held) = state.endpoints.get_mut(id) {
                held.live = live;
            }
        }
    }

    /// The kernel's part of one endpoint.
    pub(super) fn attach(&self, endpoint: &Endpoint, gateway: bool) -> Result<(), Error> {
        let network = self.state().networks.get(&endpoint.network).map(|held| held.record.clone());
        let network = network.ok_or_else(|| Error::NetworkNotFound(endpoint.network.to_string()))?;
        let sandbox = self.namespace(endpoint)?;
        if let Some(carrier) = carrier(network.driver) {
            let attach = || carrier.attach(&network, endpoint, &mut self.link(), &sandbox);
            match attach() {
                Err(Error::NoInterface { .. }) if self.may_make(&network) => {
                    self.make_again(&network)?;
                    attach()?;
                }
                attached => attached?,
            }
        }
        inside::configure(&sandbox, &network, endpoint, gateway)?;
        match endpoint.host_interface.as_str() {
            "" => Ok(()),
            // On a socket of its own: who waits must not make others wait. A bridge has no carrier before its first
            // end does, and drops what the host sends until the kernel has seen both.
            end => Socket::open(Service::Route)
                .and_then(|mut socket| {
                    socket.await_link(end)?;
                    socket.await_link(&network.interface)
                })
                .map_err(kernel("endpoint")),
        }
    }

    /// Whether the network's interface is ours to make: a bridge, but for the host's own.
    fn may_make(&self, network: &Network) -> bool {
        let default = &self.config.default_bridge;
        network.driver == Driver::Bridge && !(default.external && default.name == network.interface)
    }

    /// Somebody took the bridge away, or it could not be made when the engine started.
    fn make_again(&self, network: &Network) -> Result<(), Error> {
        tracing::warn!(
            network = network.name,
            interface = network.interface,
            "bridge is missing; making it again"
        );
        let Some(carrier) = carrier(network.driver) else { return Ok(()) };
        carrier.make(network, &mut self.link())?;
        let others: Vec<Endpoint> = self.state().on(&network.id).map(|held| held.record.clone()).collect();
        others.iter().try_for_each(|other| carrier.rejoin(network, other, &mut self.link()))
    }

    /// Takes a half-made endpoint away. Failures are told: there is a first cause already.
    fn undo(&self, endpoint: &Endpoint) {
        let record = self.state().endpoints.get(&endpoint.id).map(|held| held.record.clone());
        if let Some(record) = record
            && let Err(error) = self.detach(&record)
        {
            tracing::warn!(%error, endpoint = %endpoint.id, "undoing a failed connection");
        }
    }
}

/// Everything about one endpoint but its ports; `None` on networks that carry nothing.
fn decide(
    shared: &Shared,
    state: &State,
    container: &ContainerId,
    spec: &EndpointSpec,
) -> Result<Option<Endpoint>, Error> {
    let sandbox =
        state.sandboxes.get(container).ok_or_else(|| Error::SandboxNotFound(container.to_string()))?;
    let network = state.find(&spec.network)?;
    let leaving = state.networks.get(&network.id).is_some_and(|held| held.leaving);
    if leaving {
        return Err(Error::NetworkNotFound(spec.network.clone()));
    }
    let host_mode = sandbox.spec.mode == SandboxMode::Host;
    match network.driver {
        Driver::Host if host_mode => return Ok(None),
        Driver::Host => return Err(Error::HostMode),
        _ if host_mode => return Err(Error::HostMode),
        Driver::Null if state.of(container).next().is_some() => return Err(Error::NoneMode),
        Driver::Null => return Ok(None),
        Driver::Bridge | Driver::Macvlan | Driver::Ipvlan => {}
    }
    check(network, spec)?;
    if state.of(container).any(|held| held.record.network == network.id) {
        let name = sandbox.spec.name.clone();
        return Err(Error::EndpointExists { name, network: network.name.clone() });
    }
    let taken = state.leases(&network.id);
    let ipv4 = lease(network, false, spec.ipv4, &taken)?;
    let ipv6 = lease(network, true, spec.ipv6, &taken)?;
    let id = EndpointId::random();
    let gateway = |ipv6: bool, lease: Option<Prefix>| {
        let lease = lease?;
        let pool = network.pools.iter().find(|pool| pool.subnet.contains(lease.address()))?;
        (pool.subnet.is_ipv6() == ipv6).then(|| shared.container_gateway(network, pool))?
    };
    let derived = match ipv4.map(|lease| lease.address()) {
        Some(IpAddr::V4(address)) => Mac::of_address(address),
        _ => Mac::random(),
    };
    let mac = (network.driver != Driver::Ipvlan).then(|| spec.mac.unwrap_or(derived));
    let host_interface = match network.driver {
        Driver::Bridge => format!("veth{}", &id.as_str()[..7]),
        _ => String::new(),
    };
    Ok(Some(Endpoint {
        network: network.id.clone(),
        container: container.clone(),
        name: sandbox.spec.name.clone(),
        gateway_v4: gateway(false, ipv4),
        gateway_v6: gateway(true, ipv6),
        ipv4,
        ipv6,
        link_local: spec.link_local.clone(),
        mac,
        interface: interface_name(state, network, container, spec),
        host_interface,
        dns_names: dns_names(&sandbox.spec.name, container, &sandbox.spec.hostname, &spec.aliases),
        aliases: spec.aliases.clone(),
        links: spec.links.clone(),
        gateway_priority: spec.gateway_priority,
        driver_options: spec.driver_options.clone(),
        asked_ipv4: spec.ipv4,
        asked_ipv6: spec.ipv6,
        ports: Vec::new(),
        id,
    }))
}

fn lease(
    network: &Network,
    ipv6: bool,
    asked: Option<IpAddr>,
    taken: &BTreeSet<IpAddr>,
) -> Result<Option<Prefix>, Error> {
    let enabled = if ipv6 { network.ipv6 } else { network.ipv4 };
    let mut pools = network.pools.iter().filter(|pool| pool.subnet.is_ipv6() == ipv6).peekable();
    if !enabled || pools.peek().is_none() {
        return Ok(None);
    }
    if let Some(address) = asked {
        let none =
            || Error::InvalidEndpoint { network: network.name.clone(), why: STATIC_NEEDS_SUBNET.to_owned() };
        let pool = pools.find(|pool| pool.subnet.contains(address)).ok_or_else(none)?;
        ipam::claim_address(pool, address, taken)?;
        return Ok(Prefix::new(address, pool.subnet.length()));
    }
    for pool in pools {
        if let Some(address) = ipam::choose_address(pool, taken) {
            return Ok(Prefix::new(address, pool.subnet.length()));
        }
    }
    let family = if ipv6 { 6 } else { 4 };
    Err(Error::PoolFull { family, network: network.name.clone(), id: network.id.to_string() })
}

/// The name asked for, or the lowest free number behind the network's prefix.
fn interface_name(state: &State, network: &Network, container: &ContainerId, spec: &EndpointSpec) -> String {
    if let Some(name) = spec.driver_options.get(options::ENDPOINT_INTERFACE).filter(|name| !name.is_empty()) {
        return name.clone();
    }
    let prefix = BridgeOptions::of(network).prefix;
    let used: BTreeSet<&str> = state.of(container).map(|held| held.record.interface.as_str()).collect();
    let mut number = 0u32;
    loop {
        let name = format!("{prefix}{number}");
        if !used.contains(name.as_str()) {
            return name;
        }
        number += 1;
    }
}

/// Container name, aliases, short id and host name, each once, in Docker's order.
fn dns_names(name: &str, container: &ContainerId, hostname: &str, aliases: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let all =
        [name].into_iter().chain(aliases.iter().map(String::as_str)).chain([container.short(), hostname]);
    for name in all.filter(|name| !name.is_empty()) {
        if !out.iter().any(|present| present == name) {
            out.push(name.to_owned());
        }
    }
    out
}
