//! Published ports of a container: chosen, held, written into the rules, moved with the default route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gantry_names::{ContainerId, EndpointId};
use gantry_netlink::{Service, Socket};

use super::Shared;
use crate::config::Firewall;
use crate::driver::kernel;
use crate::failure::Error;
use crate::options::{BridgeOptions, GatewayMode};
use crate::ports::hold::{KEPT, Patience, Place, hold, ipv6_is_there};
use crate::ports::{EPHEMERAL, Wanted};
use crate::record::{Change, Driver, Endpoint, PublishedPort};
use crate::spec::{HostPort, PortBinding, Protocol};
use crate::state::State;
use crate::sysctl;

impl Shared {
    /// Chooses and holds the ports of a container on its gateway, when they are on no endpoint yet.
    pub(super) fn choose_ports(&self, state: &mut State, container: &ContainerId) -> Result<(), Error> {
        if state.of(container).any(|held| !held.record.ports.is_empty()) {
            return Ok(());
        }
        let bindings = state.due(container);
        self.take_ports(state, container, &bindings)
    }

    /// Chooses and holds these ports on the container's gateway, besides those that it has: all or none.
    pub(super) fn take_ports(
        &self,
        state: &mut State,
        container: &ContainerId,
        bindings: &[PortBinding],
    ) -> Result<(), Error> {
        if bindings.is_empty() {
            return Ok(());
        }
        let Some(gateway) = state.gateway(container).cloned() else { return Ok(()) };
        let Some(network) = state.networks.get(&gateway.network).map(|held| held.record.clone()) else {
            return Ok(());
        };
        if network.driver != Driver::Bridge {
            return Ok(());
        }
        let mut bindings = bindings.to_vec();
        bindings.sort_by_key(turn);
        let options = BridgeOptions::of(&network);
        let ephemeral = sysctl::ephemeral_ports().unwrap_or(EPHEMERAL);
        let mut ports = Vec::new();
        let mut holds = Vec::new();
        for binding in &bindings {
            let places = self.places(binding, &options, &gateway);
            let routed = |place: &Place| options.mode(place.host.is_ipv6()) == GatewayMode::Routed;
            let (open, rewritten): (Vec<Place>, Vec<Place>) = places.into_iter().partition(routed);
            // A routed network opens the container's own port; nothing of the host's is taken.
            ports.extend(open.iter().map(|place| published(binding, place.host, binding.container_port)));
            let addresses: Vec<IpAddr> = rewritten.iter().map(|place| place.host).collect();
            if addresses.is_empty() {
                continue;
            }
            let wanted = Wanted {
                protocol: binding.protocol,
                addresses: &addresses,
                container_port: binding.container_port,
                count: binding.count,
                host_port: binding.host_port,
            };
            let patience = if matches!(binding.host_port, HostPort::From(_)) {
                Patience::Copies
            } else {
                Patience::None
            };
            let held = |first| {
                hold(binding.protocol, &rewritten, first, binding.count, binding.container_port, patience)
            };
            let (first, kept) = state.ports.choose(&wanted, ephemeral, held).map_err(|cause| {
                state.ports.give_back(&gateway.id, &ports);
                Error::Ports {
                    name: gateway.name.clone(),
                    endpoint: gateway.id.to_string(),
                    cause: Box::new(cause),
                }
            })?;
            holds.push(kept);
            for ip in addresses {
                let port = published(binding, ip, first);
                // At once, so that the next binding of the same container sees it.
                state.ports.insert(gateway.id.clone(), port.clone());
                ports.push(port);
            }
        }
        if let Some(held) = state.endpoints.get_mut(&gateway.id) {
            held.record.ports.extend(ports);
            held.holds.extend(holds);
        }
        Ok(())
    }

    /// Host addresses of a binding: of the families that the endpoint has, and IPv6 for IPv4 where a proxy may copy.
    fn places(&self, binding: &PortBinding, options: &BridgeOptions, endpoint: &Endpoint) -> Vec<Place> {
        let set = options.host_binding.filter(|address| *address != IpAddr::from(Ipv4Addr::UNSPECIFIED));
        let asked = match binding.host_ip.or(set) {
            Some(address) => vec![address],
            None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        };
        let implied = asked.len() > 1;
        let place = |host: IpAddr| {
            let native = own_address(endpoint, host.is_ipv6());
            let own = native.or_else(|| {
                // A network without translation has nothing of the host's; a long run is not kept, so not served.
                let nat = options.mode(true) != GatewayMode::Routed && binding.count <= KEPT;
                let copied = host.is_ipv6() && nat && self.proxied(host, binding.protocol);
                let own = own_address(endpoint, false).filter(|_| copied);
                own.filter(|_| !implied || ipv6_is_there())
            })?;
            Some(Place { host, own, served: self.proxied(host, binding.protocol) })
        };
        asked.into_iter().filter_map(place).collect()
    }

    /// Whether callers of a host address may come to a socket: no rule translates what is sent to `::1`, or to a
    /// container of another family, or anything where nobody writes rules.
    pub(super) fn proxied(&self, host: IpAddr, protocol: Protocol) -> bool {
        let untranslated = host.is_ipv6() || self.config.firewall == Firewall::None;
        self.config.userland_proxy && untranslated && protocol != Protocol::Sctp
    }

    /// Serves what no rule translates.
    pub(super) fn serve_ports(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let mut state = self.state();
        let holds = state.endpoints.get_mut(&endpoint.id).map(|held| &mut held.holds);
        for hold in holds.into_iter().flatten() {
            let what = || format!("serve the published ports of {}", endpoint.name);
            hold.serve(&self.config.runtime).map_err(|cause| Error::Io { what: what(), cause })?;
        }
        Ok(())
    }

    /// Writes an endpoint's rules, and opens those towards it that are linked to it.
    pub(super) fn write_rules(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let mark = |state: &mut State| {
            let before = state.linked_to(endpoint);
            if let Some(held) = state.endpoints.get_mut(&endpoint.id) {
                held.ruled = true;
            }
            (state.endpoint_facts(endpoint), before, state.linked_to(endpoint))
        };
        self.change_rules(mark, |writer, (facts, before, after)| {
            facts.as_ref().map_or(Ok(()), |facts| writer.add_endpoint(facts))?;
            if before == after { Ok(()) } else { writer.change_endpoints(before, after) }
        })?;
        self.serve_ports(endpoint)?;
        forget_flows(endpoint)
    }

    /// Takes an endpoint's rules away, and the openings towards it: its address is somebody else's next.
    pub(super) fn withdraw_rules(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let mark = |state: &mut State| {
            let before = state.linked_to(endpoint);
            let held = state.endpoints.get_mut(&endpoint.id)?;
            std::mem::take(&mut held.ruled).then_some(())?;
            Some((state.endpoint_facts(endpoint)?, before, state.linked_to(endpoint)))
        };
        self.change_rules(mark, |writer, change| {
            let Some((facts, before, after)) = change else { return Ok(()) };
            if before != after {
                writer.change_endpoints(before, after)?;
            }
            writer.remove_endpoint(facts)
        })?;
        forget_flows_later(endpoint)
    }

    /// Lets the published ports follow the default route from one endpoint to another.
    pub(super) fn move_ports(
        &self,
        container: &ContainerId,
        before: Option<&EndpointId>,
    ) -> Result<(), Error> {
        let (old, new) = {
            let state = self.state();
            let old = before.and_then(|id| state.endpoints.get(id)).map(|held| held.record.clone());
            (old, state.gateway(container).cloned())
        };
        let Some(new) = new else { return Ok(()) };
        if let Some(old) = old.filter(|old| !old.ports.is_empty() && old.id != new.id) {
            self.withdraw_rules(&old)?;
            let (stripped, holds) = {
                let mut state = self.state();
                state.ports.release(&old.id);
                let Some(held) = state.endpoints.get_mut(&old.id) else { return Ok(()) };
                held.record.ports.clear();
                (held.record.clone(), std::mem::take(&mut held.holds))
            };
            drop(holds);
            self.write(&[Change::PutEndpoint(stripped.clone())])?;
            self.write_rules(&stripped)?;
        }
        self.publish(&new)
    }

    /// Publishes the container's ports on an endpoint that stands already.
    fn publish(&self, endpoint: &Endpoint) -> Result<(), Error> {
        if !endpoint.ports.is_empty() {
            return Ok(());
        }
        let published = {
            let mut state = self.state();
            self.choose_ports(&mut state, &endpoint.container)?;
            state.endpoints.get(&endpoint.id).map(|held| held.record.clone())
        };
        match published.filter(|record| !record.ports.is_empty()) {
            Some(record) => {
                self.write(&[Change::PutEndpoint(record.clone())])?;
                // What it had without ports is in the new facts as well; elements that are there stay.
                self.write_rules(&record)
            }
            None => Ok(()),
        }
    }
}

/// In which order ports are chosen, and shown: Docker's. Exact ones first, lest a range takes them.
fn turn(binding: &PortBinding) -> (bool, u16, u8, u16, Option<IpAddr>) {
    let (choice, first) = match binding.host_port {
        HostPort::From(first) => (false, first),
        HostPort::OneOf(first, _) => (true, first),
        HostPort::Any => (true, 0),
    };
    let protocol = match binding.protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => 1,
        Protocol::Sctp => 2,
    };
    (choice, binding.container_port, protocol, first, binding.host_ip)
}

fn published(binding: &PortBinding, host_ip: IpAddr, host_port: u16) -> PublishedPort {
    PublishedPort {
        protocol: binding.protocol,
        host_ip,
        host_port,
        container_port: binding.container_port,
        count: binding.count,
    }
}

pub(super) fn own_address(endpoint: &Endpoint, ipv6: bool) -> Option<IpAddr> {
    endpoint.addresses().find(|address| address.is_ipv6() == ipv6)
}

/// The same off the path of a stop: the kernel walks its whole table of connections, which takes tens of milliseconds.
fn forget_flows_later(endpoint: &Endpoint) -> Result<(), Error> {
    if !endpoint.ports.iter().any(|port| port.protocol == Protocol::Udp) {
        return Ok(());
    }
    let endpoint = endpoint.clone();
    let work = move || {
        if let Err(error) = forget_flows(&endpoint) {
            tracing::warn!(%error, endpoint = %endpoint.id, "remembered UDP flows stay");
        }
    };
    let spawned = std::thread::Builder::new().name("forget-flows".to_owned()).spawn(work);
    spawned.map(drop).map_err(|cause| Error::Io { what: "forget UDP flows".to_owned(), cause })
}

/// A UDP flow that the kernel remembers goes on past new rules, and past their end.
pub(super) fn forget_flows(endpoint: &Endpoint) -> Result<(), Error> {
    let udp: Vec<&PublishedPort> =
        endpoint.ports.iter().filter(|port| port.protocol == Protocol::Udp).collect();
    // The count is this namespace's; without any connection there is nothing to walk for.
    if udp.is_empty() || sysctl::read("net/netfilter/nf_conntrack_count").as_deref() == Some("0") {
        return Ok(());
    }
    let what = || kernel("forget UDP flows");
    let mut socket = Socket::open(Service::Netfilter).map_err(what())?;
    for ipv6 in [false, true] {
        if !udp.iter().any(|port| port.host_ip.is_ipv6() == ipv6) {
            continue;
        }
        for flow in socket.connections(ipv6).map_err(what())? {
            let published = udp.iter().any(|port| {
                flow.protocol == Protocol::Udp.number()
                    && port.host_ip.is_ipv6() == ipv6
                    && (port.host_port..=port.host_port + (port.count - 1)).contains(&flow.destination_port)
            });
            let to_us = endpoint.addresses().any(|own| own == flow.answerer);
            if published || to_us && flow.protocol == Protocol::Udp.number() {
                socket.forget(&flow).map_err(what())?;
            }
        }
    }
    Ok(())
}
