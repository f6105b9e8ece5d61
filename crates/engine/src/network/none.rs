//! Off the network `none`, and back: the way of a container that was made without a network and gets one while it runs.
//!
//! Such a container's namespace is its process's, made by the runtime. It becomes a sandbox of the engine's when the
//! container leaves `none`, and from then on everything goes as for any other.

use std::sync::Arc;

use gantry_network::Network;

use super::{plain, plan};
use crate::container::Container;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::record::ContainerRecord;
use crate::spec::NetworkMode;

impl Engine {
    /// Takes a container off `none`. The caller holds its gate.
    pub(super) async fn leave_none(&self, container: &Arc<Container>) -> Result<()> {
        let record = container.record();
        if record.state.is_alive() {
            let (engine, record) = (self.clone(), Arc::clone(&record));
            blocking(move || engine.adopt_namespace(&record)).await?;
        }
        self.change(container, |record| record.spec.network_mode = NetworkMode::LeftNone).await?;
        if record.state.is_alive() {
            self.plain_event(&record, "disconnect");
        }
        Ok(())
    }

    /// Puts a container that is on no network onto `none`. The caller holds its gate.
    pub(super) async fn join_none(&self, container: &Arc<Container>) -> Result<()> {
        self.change(container, |record| record.spec.network_mode = NetworkMode::None).await?;
        let record = container.record();
        if record.state.is_alive() {
            let (engine, record) = (self.clone(), Arc::clone(&record));
            blocking(move || engine.forget_network(&record)).await;
        }
        self.plain_event(&container.record(), "connect");
        Ok(())
    }

    /// Makes the process's namespace the engine's. Blocking.
    fn adopt_namespace(&self, record: &ContainerRecord) -> Result<()> {
        let networks = self.inner.network.owner()?;
        let process = record
            .state
            .process()
            .ok_or_else(|| Error::Conflict(format!("container {} is not running", record.id)))?;
        // A crash may have come between this and the record.
        self.forget_network(record);
        let files = self.network_files(record);
        let untouched = plain::resolver_is_untouched(&files, record);
        let spec = plan::sandbox(record, files)?;
        networks.adopt_sandbox(spec, process.pid, untouched).map_err(Error::networking)?;
        Ok(())
    }
}

/// Whether `none` keeps a container from joining this network: it is beside no other.
pub(super) fn forbids(record: &ContainerRecord, network: &Network) -> bool {
    let is_there = record.spec.network_mode == NetworkMode::None;
    is_there || network.name == "none" && !record.spec.endpoints.is_empty()
}
