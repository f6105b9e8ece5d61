//! What is done inside a sandbox: addresses, routes, settings of one interface.

use gantry_netlink::{Address, LinkChange, Namespace, Route, Service, Socket};

use super::Shared;
use crate::dns::Asker;
use crate::dns::server::Server;
use crate::driver::kernel;
use crate::failure::Error;
use crate::options;
use crate::record::{Driver, Endpoint, Network};
use crate::sysctl;

use std::sync::Arc;

/// Gives an attached interface its addresses and brings it up; with `gateway` the default routes go over it.
pub(super) fn configure(
    sandbox: &Namespace,
    network: &Network,
    endpoint: &Endpoint,
    gateway: bool,
) -> Result<(), Error> {
    let what = || format!("endpoint on network {}", network.name);
    let sysctls = options::endpoint_sysctls(&endpoint.driver_options, &endpoint.interface)?;
    let done = sandbox.run(|| {
        let mut socket = Socket::open(Service::Route)?;
        let name = &endpoint.interface;
        let Some(link) = socket.link(name)? else { return Ok(Err(missing(name))) };
        if endpoint.ipv6.is_some()
            && let Err(error) = sysctl::write_if_there(&format!("net/ipv6/conf/{name}/disable_ipv6"), "0")
        {
            return Ok(Err(error));
        }
        // On a bridge of ours nobody is a router but the host: a neighbour that says it is one is after what is sent
        // through it (CVE-2020-13401).
        if network.driver == Driver::Bridge
            && let Err(error) = sysctl::write_if_there(&format!("net/ipv6/conf/{name}/accept_ra"), "0")
        {
            return Ok(Err(error));
        }
        // Addresses before up: the moment it is up it tells its neighbours.
        for prefix in [endpoint.ipv4, endpoint.ipv6].into_iter().flatten() {
            socket.add_address(&Address {
                link: link.index,
                address: prefix.address(),
                length: prefix.length(),
            })?;
        }
        for address in &endpoint.link_local {
            let length = if address.is_ipv6() { 64 } else { 16 };
            socket.add_address(&Address { link: link.index, address: *address, length })?;
        }
        for (key, value) in &sysctls {
            if let Err(error) = sysctl::write(key, value) {
                return Ok(Err(error));
            }
        }
        socket.change_link(link.index, &LinkChange::up())?;
        socket.await_link(name)?;
        if gateway {
            default_routes(&mut socket, network, endpoint, link.index)?;
        }
        Ok(Ok(()))
    });
    done.map_err(kernel(what()))?
}

fn missing(name: &str) -> Error {
    Error::NoInterface { what: "sandbox", name: name.to_owned() }
}

fn default_routes(
    socket: &mut Socket,
    network: &Network,
    endpoint: &Endpoint,
    link: u32,
) -> gantry_netlink::Result<()> {
    // Layer 3 sub-interfaces have no neighbours: everything goes onto the link.
    let routed = network.driver == Driver::Ipvlan
        && network.options.get("ipvlan_mode").is_some_and(|mode| mode.starts_with("l3"));
    for gateway in [endpoint.gateway_v4, endpoint.gateway_v6].into_iter().flatten() {
        let mut route = Route::default_via(gateway, link);
        if routed {
            route.gateway = None;
        }
        socket.add_route(&route)?;
    }
    Ok(())
}

impl Shared {
    /// The namespace of a sandbox; none in the host's own.
    pub(super) fn namespace(&self, endpoint: &Endpoint) -> Result<Namespace, Error> {
        let path = self.state().sandboxes.get(&endpoint.container).and_then(|held| held.path.clone());
        let path = path.ok_or_else(|| Error::SandboxNotFound(endpoint.container.to_string()))?;
        Namespace::at(&path).map_err(kernel("network namespace"))
    }

    /// Lets the default routes follow the gateway after endpoints came or went.
    pub(super) fn reroute(
        &self,
        sandbox: &Namespace,
        gateway: Option<(&Network, &Endpoint)>,
    ) -> Result<(), Error> {
        let done = sandbox.run(|| {
            let mut socket = Socket::open(Service::Route)?;
            let wanted =
                |ipv6: bool| gateway.and_then(|(_, e)| if ipv6 { e.gateway_v6 } else { e.gateway_v4 });
            for route in socket.routes()?.iter().filter(|route| route.destination.1 == 0) {
                if wanted(route.destination.0.is_ipv6()).is_none() {
                    socket.delete_route(route)?;
                }
            }
            if let Some((network, endpoint)) = gateway
                && let Some(link) = socket.link(&endpoint.interface)?
            {
                default_routes(&mut socket, network, endpoint, link.index)?;
            }
            Ok(())
        });
        done.map_err(kernel("default route"))
    }

    /// Starts the sandbox's name server if it is on a user network and has none yet.
    pub(super) fn start_names(self: &Arc<Self>, endpoint: &Endpoint) -> Result<(), Error> {
        let container = &endpoint.container;
        {
            let state = self.state();
            let has_one = state.sandboxes.get(container).is_none_or(|sandbox| sandbox.server.is_some());
            if has_one || !state.is_named(container) {
                return Ok(());
            }
        }
        let namespace = self.namespace(endpoint)?;
        let names = Arc::clone(self) as Arc<dyn crate::dns::Names>;
        let server =
            Server::in_sandbox(namespace, &self.config.runtime, names, Asker::Sandbox(container.clone()))?;
        if let Some(sandbox) = self.state().sandboxes.get_mut(container) {
            sandbox.server = Some(server);
        }
        Ok(())
    }
}
