//! `docker network rm` and `docker network prune`.

use super::Networks;
use crate::failure::Error;
use crate::record::Network;

impl Networks {
    /// Removes a network that no container is on.
    pub fn remove(&self, name_or_id: &str) -> Result<Network, Error> {
        let shared = &self.shared;
        let _making = shared.making();
        let network = {
            let mut state = shared.state();
            let network = state.find(name_or_id)?.clone();
            if network.predefined {
                return Err(Error::Predefined(network.name));
            }
            let endpoints: Vec<String> = state
                .on(&network.id)
                .map(|held| format!("name:{:?} id:{:?}", held.record.name, held.record.id.short()))
                .collect();
            if !endpoints.is_empty() {
                return Err(Error::ActiveEndpoints { name: network.name, endpoints: endpoints.join(", ") });
            }
            if let Some(held) = state.networks.get_mut(&network.id) {
                held.leaving = true;
            }
            network
        };
        let removed = shared.unmake(&network);
        if removed.is_err()
            && let Some(held) = shared.state().networks.get_mut(&network.id)
        {
            held.leaving = false;
        }
        removed.map(|()| network)
    }

    /// Removes every unused network of the user's that is wanted gone; returns them. One that cannot be removed is told
    /// and left.
    pub fn prune(&self, wanted: impl Fn(&Network) -> bool) -> Vec<Network> {
        let unused: Vec<Network> = {
            let state = self.shared.state();
            let all = state.networks.values().map(|held| &held.record);
            all.filter(|n| !n.predefined && state.on(&n.id).next().is_none() && wanted(n)).cloned().collect()
        };
        let mut removed = Vec::new();
        for network in unused {
            match self.remove(network.id.as_str()) {
                Ok(network) => removed.push(network),
                Err(Error::ActiveEndpoints { .. } | Error::NetworkNotFound(_)) => {}
                Err(error) => tracing::warn!(%error, network = network.name, "cannot prune network"),
            }
        }
        removed
    }
}
