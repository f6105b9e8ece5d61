//! `docker network disconnect`.

use gantry_names::ContainerId;
use gantry_netlink::{Service, Socket};

use super::{Networks, Shared};
use crate::driver::kernel;
use crate::failure::Error;
use crate::record::{Change, Endpoint};

impl Networks {
    /// Detaches a sandbox from a network. The default route and the published ports move to the next network.
    pub fn disconnect(&self, container: &ContainerId, network: &str) -> Result<Endpoint, Error> {
        let shared = &self.shared;
        let (endpoint, was_gateway) = {
            let state = shared.state();
            let network = state.find(network)?;
            let found = state.of(container).find(|held| held.record.network == network.id);
            let endpoint = found.map(|held| held.record.clone()).ok_or_else(|| Error::NotConnected {
                container: container.to_string(),
                network: network.name.clone(),
            })?;
            let gateway = state.gateway(container).is_some_and(|gateway| gateway.id == endpoint.id);
            (endpoint, gateway)
        };
        shared.remove_from_files(&endpoint)?;
        shared.detach(&endpoint)?;
        if was_gateway {
            let next = {
                let state = shared.state();
                let next = state.gateway(container).cloned();
                next.and_then(|e| Some((state.networks.get(&e.network)?.record.clone(), e)))
            };
            let sandbox = shared.namespace(&endpoint)?;
            shared.reroute(&sandbox, next.as_ref().map(|(network, endpoint)| (network, endpoint)))?;
            shared.move_ports(container, None)?;
        }
        Ok(endpoint)
    }
}

impl Shared {
    /// Takes one endpoint away, wholly or as far as it came: rules, interface, row, lease.
    pub(super) fn detach(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let holds = self.state().endpoints.get_mut(&endpoint.id).map(|held| {
            held.live = false;
            std::mem::take(&mut held.holds)
        });
        // Without the lock: what serves may want it at its end.
        drop(holds);
        let mut first = self.withdraw_rules(endpoint);
        if let Ok(sandbox) = self.namespace(endpoint) {
            let deleted = sandbox.run(|| Socket::open(Service::Route)?.delete_link(&endpoint.interface));
            first = first.and(deleted.map_err(kernel("endpoint")));
        }
        first = first.and(self.write(&[Change::RemoveEndpoint(endpoint.id.clone())]));
        let mut state = self.state();
        state.endpoints.remove(&endpoint.id);
        state.ports.release(&endpoint.id);
        // The last user network takes the name server with it.
        if !state.is_named(&endpoint.container)
            && let Some(sandbox) = state.sandboxes.get_mut(&endpoint.container)
        {
            sandbox.server = None;
        }
        first
    }
}
