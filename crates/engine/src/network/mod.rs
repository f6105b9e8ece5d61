//! A container's place in the networks, between the engine's records and `gantry-network`.
//!
//! A container in bridge and user networks has a sandbox: a namespace the engine owns, made at its start and kept while
//! the container or another one that joined it runs. `none` has a fresh namespace of its process, `host` the host's.
//!
//! Start at [`Engine::join_network`]; [`plan`] turns a record into what is asked of the networks.

mod none;
mod plain;
mod plan;
mod plumb;
mod records;
mod shown;
mod verbs;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use gantry_events::Kind;
use gantry_names::{ContainerId, ContainerName};
use gantry_network::{Config, Endpoint, Networks};
use gantry_store::Store;

use crate::bundle::NetNamespace;
use crate::container::Container;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::record::ContainerRecord;
use crate::spec::{ContainerSpec, NetworkMode};

/// What a start learns from the network.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) namespace: NetNamespace,
    /// Environment of links.
    pub(crate) environment: Vec<String>,
}

/// The engine's networks; without an owner there are only `none`, `host` and `container:`.
#[derive(Clone, Default)]
pub struct Networking {
    networks: Option<Arc<Networks>>,
}

impl Networking {
    /// Only `none`, `host` and `container:`.
    pub fn plain() -> Networking {
        Networking::default()
    }

    /// Bridges and all the rest, with their rows in this store.
    pub fn open(config: Config, store: Store) -> Result<Networking> {
        let networks = Networks::open(config, Arc::new(records::Rows(store)))?;
        Ok(Networking { networks: Some(networks) })
    }

    pub(crate) fn default_mode(&self) -> NetworkMode {
        match self.networks.as_ref().map(|networks| networks.default_network()) {
            Some("none") | None => NetworkMode::None,
            Some(name) => NetworkMode::Named(name.to_owned()),
        }
    }

    fn owner(&self) -> Result<&Arc<Networks>> {
        let none = || Error::NotImplemented("this engine runs without networks".to_owned());
        self.networks.as_ref().ok_or_else(none)
    }

    /// Names every network the container joins by the network's own name, and refuses what cannot be.
    pub(crate) fn settle(&self, spec: &mut ContainerSpec) -> Result<()> {
        if spec.network_disabled {
            spec.network_mode = NetworkMode::None;
        }
        let NetworkMode::Named(primary) = spec.network_mode.clone() else {
            spec.endpoints.clear();
            return Ok(());
        };
        let networks = self.owner()?;
        let mut endpoints = BTreeMap::new();
        for (key, endpoint) in std::mem::take(&mut spec.endpoints) {
            let name = if key == "default" {
                networks.default_network().to_owned()
            } else {
                // A network that is not there yet is told at the start, as Docker does: clients take a refusal of
                // this kind for a missing image.
                networks.get(&key).map_or(key, |network| network.name)
            };
            endpoints.insert(name, endpoint);
        }
        let Ok(network) = networks.get(&primary) else {
            endpoints.entry(primary).or_default();
            spec.endpoints = endpoints;
            return plan::dns(spec).map(drop);
        };
        if network.name == "host" {
            spec.network_mode = NetworkMode::Host;
            return Ok(());
        }
        if network.name == "none" {
            spec.network_mode = NetworkMode::None;
            return Ok(());
        }
        let first = endpoints.entry(network.name.clone()).or_default();
        if first.mac_address.is_empty() {
            first.mac_address.clone_from(&spec.mac_address);
        }
        spec.network_mode = NetworkMode::Named(network.name);
        spec.endpoints = endpoints;
        for (name, endpoint) in &spec.endpoints {
            match networks.check(&plan::endpoint(name, endpoint, Vec::new())?) {
                Ok(_) | Err(gantry_network::Error::NetworkNotFound(_)) => {}
                Err(err @ gantry_network::Error::InvalidEndpoint { .. }) => {
                    return Err(Error::Invalid(format!("invalid config for network {name}: {err}")));
                }
                Err(err) => return Err(err.into()),
            }
        }
        plan::dns(spec)?;
        Ok(())
    }

    pub(crate) fn rename(&self, id: &ContainerId, name: &ContainerName) {
        if let Some(networks) = &self.networks
            && networks.sandbox(id).is_some()
            && let Err(err) = networks.rename(id, name.as_str())
        {
            tracing::warn!(%err, container = %id, "rename in the networks");
        }
    }

    /// Stops the loops at the engine's end.
    pub(crate) fn shutdown(&self) {
        if let Some(networks) = &self.networks
            && let Err(err) = networks.shutdown(false)
        {
            tracing::warn!(%err, "end the networks");
        }
    }
}

impl Engine {
    /// Joins a container that starts to its networks. Blocking.
    pub(crate) fn join_network(&self, record: &ContainerRecord) -> Result<Joined> {
        let plain = |namespace| Joined { namespace, environment: Vec::new() };
        match &record.spec.network_mode {
            NetworkMode::Container(who) => {
                let missing =
                    |err: Error| Error::NotFound(format!("joining network namespace of container: {err}"));
                let owner = self.find(who).map_err(missing)?;
                let sandbox =
                    self.inner.network.networks.as_ref().and_then(|networks| networks.sandbox(&owner.id));
                let pid = self.running_pid(who, "network");
                // The namespace is the engine's, not its first process': it is joined even while that restarts.
                let path = match sandbox.and_then(|sandbox| sandbox.path) {
                    Some(path) => path,
                    None => format!("/proc/{}/ns/net", pid?).into(),
                };
                return Ok(plain(NetNamespace::Join(path)));
            }
            NetworkMode::Named(_) | NetworkMode::LeftNone => {}
            mode => {
                plain::write_files(&self.network_files(record), record)?;
                self.plain_event(record, "connect");
                let host = *mode == NetworkMode::Host;
                return Ok(plain(if host { NetNamespace::Host } else { NetNamespace::Fresh }));
            }
        }
        let networks = self.inner.network.owner()?;
        let links = self.links(record)?;
        let sandbox = match networks.sandbox(&record.id) {
            // Others have kept it while this container was down.
            Some(kept) => kept,
            None => {
                let spec = plan::sandbox(record, self.network_files(record))?;
                let sandbox = networks.create_sandbox(spec).map_err(Error::networking)?;
                let endpoints = self.endpoint_specs(record, &links)?;
                let joined = networks.connect(&record.id, &endpoints).map_err(Error::networking)?;
                for endpoint in joined {
                    self.network_event(&endpoint, "connect");
                }
                sandbox
            }
        };
        let path =
            sandbox.path.ok_or_else(|| Error::Unavailable("the sandbox has no namespace".to_owned()))?;
        Ok(Joined {
            namespace: NetNamespace::Join(path),
            environment: plan::link_environment(record, &links),
        })
    }

    /// Undoes [`Engine::join_network`], unless another container lives in the namespace. Blocking.
    /// One that `comes_back` at once leaves its published ports to nobody.
    pub(crate) fn leave_network(&self, record: &ContainerRecord, comes_back: bool) {
        let owner = match &record.spec.network_mode {
            NetworkMode::Named(_) | NetworkMode::LeftNone => record.id.clone(),
            NetworkMode::Container(who) => match self.find(who) {
                Ok(owner) if !owner.record().state.is_alive() => owner.id.clone(),
                _ => return,
            },
            NetworkMode::None | NetworkMode::Host => {
                // It may have been about to leave `none` when the engine was killed.
                self.forget_network(record);
                return self.plain_event(record, "disconnect");
            }
            NetworkMode::Default => return,
        };
        let lives = |other: &ContainerRecord| {
            other.id != record.id
                && other.state.is_alive()
                && other.spec.network_mode == NetworkMode::Container(owner.to_string())
        };
        if self.registry().all().iter().any(|container| lives(&container.record())) {
            return;
        }
        self.remove_sandbox(&owner, comes_back && owner == record.id);
    }

    fn remove_sandbox(&self, id: &ContainerId, comes_back: bool) {
        let Some(networks) = &self.inner.network.networks else { return };
        let removed = if comes_back { networks.rest_sandbox(id) } else { networks.remove_sandbox(id) };
        match removed {
            Ok(endpoints) => endpoints.iter().for_each(|endpoint| self.network_event(endpoint, "disconnect")),
            Err(err) => tracing::warn!(%err, container = %id, "remove sandbox"),
        }
    }

    /// Gives the published ports of a container that is about to be stopped to the one that waits for them. Where that
    /// fails they go with its network, as always.
    pub(crate) async fn hand_over_ports(&self, container: &Container) {
        let Some(networks) =
            self.inner.network.networks.clone().filter(|networks| networks.has_heir(&container.id))
        else {
            return;
        };
        // A restart wants them itself.
        if container.live().kept {
            return;
        }
        let holder = container.id.clone();
        let handed = blocking(move || networks.hand_over(&holder).map_err(Error::networking)).await;
        if let Err(err) = handed {
            tracing::warn!(%err, container = %container.id, "hand its published ports over");
        }
    }

    /// A removed container's sandbox goes, whoever kept it. Blocking.
    pub(crate) fn forget_network(&self, record: &ContainerRecord) {
        if self.inner.network.networks.as_ref().is_some_and(|networks| networks.sandbox(&record.id).is_some())
        {
            self.remove_sandbox(&record.id, false);
        }
    }

    /// Brings the networks and the living containers together after a start of the engine. Blocking.
    pub(crate) fn restore_networks(&self) {
        let Some(networks) = &self.inner.network.networks else { return };
        let mut live = HashSet::new();
        for container in self.registry().all() {
            let record = container.record();
            if !record.state.is_alive() {
                continue;
            }
            live.insert(record.id.clone());
            if let NetworkMode::Container(who) = &record.spec.network_mode
                && let Ok(owner) = self.find(who)
            {
                live.insert(owner.id.clone());
            }
        }
        match networks.restore(&live) {
            Ok(restored) => {
                for (id, why) in restored.broken {
                    tracing::error!(why, container = %id, "a sandbox is broken");
                }
            }
            Err(err) => tracing::error!(%err, "restore the networks"),
        }
    }

    /// What happened to a container on `none` or `host`.
    pub(super) fn plain_event(&self, record: &ContainerRecord, action: &str) {
        let networks = self.inner.network.networks.as_ref();
        let network = plain::network(&record.spec.network_mode).and_then(|name| networks?.get(name).ok());
        if let Some(endpoint) = network.and_then(|network| plain::endpoint(record, &network)) {
            self.network_event(&endpoint, action);
        }
    }

    pub(super) fn network_event(&self, endpoint: &Endpoint, action: &str) {
        let Some(networks) = &self.inner.network.networks else { return };
        let Ok(network) = networks.get(endpoint.network.as_str()) else { return };
        let attributes = [
            ("container".to_owned(), endpoint.container.to_string()),
            ("name".to_owned(), network.name),
            ("type".to_owned(), network.driver.as_str().to_owned()),
        ];
        self.publish(Kind::Network, action, endpoint.network.as_str(), attributes.into());
    }
}
