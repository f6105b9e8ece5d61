//! A container's place in the networks, between the engine's records and `gantry-network`.

mod plain;

use std::sync::Arc;

use gantry_names::{ContainerId, ContainerName};

use crate::bundle::NetNamespace;
use crate::engine::Engine;
use crate::error::Result;
use crate::record::{ContainerRecord, NetworkRecord};
use crate::spec::NetworkMode;

/// What a start learns from the network.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) namespace: NetNamespace,
    /// Environment of links.
    pub(crate) environment: Vec<String>,
}

/// The engine's networks.
#[derive(Clone, Default)]
pub struct Networking {
    inner: Arc<()>,
}

impl Networking {
    /// Only `none`, `host` and `container:`.
    pub fn plain() -> Networking {
        Networking::default()
    }

    pub(crate) fn default_mode(&self) -> NetworkMode {
        let _ = &self.inner;
        NetworkMode::None
    }

    pub(crate) fn check(&self, _record: &ContainerRecord) -> Result<()> {
        Ok(())
    }

    pub(crate) fn shown(&self, record: &ContainerRecord) -> NetworkRecord {
        record.network.clone()
    }

    pub(crate) fn rename(&self, _id: &ContainerId, _name: &ContainerName) {}

    pub(crate) fn forget(&self, _record: &ContainerRecord) {}
}

impl Engine {
    /// Joins a container that starts to its networks. Blocking.
    pub(crate) fn join_network(&self, record: &ContainerRecord) -> Result<Joined> {
        let namespace = match &record.spec.network_mode {
            NetworkMode::Host => NetNamespace::Host,
            NetworkMode::Container(who) => {
                let pid = self.running_pid(who, "network")?;
                NetNamespace::Join(format!("/proc/{pid}/ns/net").into())
            }
            _ => NetNamespace::Fresh,
        };
        plain::write_files(&self.network_files(record), record)?;
        Ok(Joined { namespace, environment: Vec::new() })
    }

    /// Brings the networks and the living containers together after a start of the engine.
    pub(crate) fn restore_networks(&self) {}

    /// Undoes [`Engine::join_network`]. Blocking.
    pub(crate) fn leave_network(&self, _record: &ContainerRecord) {}
}
