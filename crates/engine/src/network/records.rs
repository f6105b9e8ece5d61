//! The networks' rows in the engine's store.

use gantry_names::{ContainerId, EndpointId, NetworkId};
use gantry_network::{Change, Endpoint, Kept, Network, Records, RecordsError, SandboxSpec};
use gantry_store::{Listing, Store, StoreError, Table};

const NETWORKS: Table<NetworkId, Network> = Table::new("network.networks");
const ENDPOINTS: Table<EndpointId, Endpoint> = Table::new("network.endpoints");
const SANDBOXES: Table<ContainerId, SandboxSpec> = Table::new("network.sandboxes");

/// Rows of a store.
pub(super) struct Rows(pub(super) Store);

impl Records for Rows {
    fn load(&self) -> Result<Kept, RecordsError> {
        let read = self
            .0
            .read(|tx| Ok::<_, StoreError>((tx.list(NETWORKS)?, tx.list(ENDPOINTS)?, tx.list(SANDBOXES)?)));
        let (networks, endpoints, sandboxes) = read.map_err(failed)?;
        Ok(Kept { networks: good(networks), endpoints: good(endpoints), sandboxes: good(sandboxes) })
    }

    fn write(&self, changes: &[Change]) -> Result<(), RecordsError> {
        let written = self.0.write_freeing(|tx| {
            for change in changes {
                match change {
                    Change::PutNetwork(network) => tx.put(NETWORKS, &network.id, network)?,
                    Change::RemoveNetwork(id) => drop(tx.remove(NETWORKS, id)?),
                    Change::PutEndpoint(endpoint) => tx.put(ENDPOINTS, &endpoint.id, endpoint)?,
                    Change::RemoveEndpoint(id) => drop(tx.remove(ENDPOINTS, id)?),
                    Change::PutSandbox(sandbox) => tx.put(SANDBOXES, &sandbox.container, sandbox)?,
                    Change::RemoveSandbox(id) => drop(tx.remove(SANDBOXES, id)?),
                }
            }
            Ok::<_, StoreError>(())
        });
        written.map_err(failed)
    }
}

fn failed(err: StoreError) -> RecordsError {
    RecordsError(Box::new(err))
}

fn good<K, V>(listing: Listing<K, V>) -> Vec<V> {
    for damaged in listing.damaged {
        tracing::error!(%damaged, "damaged network record");
    }
    listing.rows.into_iter().map(|(_, row)| row).collect()
}
