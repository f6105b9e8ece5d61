//! After a start of the engine: what lives is repaired, what does not is removed. The same steps as every day's.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use gantry_names::ContainerId;
use gantry_netlink::{Namespace, Service, Socket};

use super::publish::own_address;
use super::{Networks, Shared};
use crate::driver::{carrier, kernel};
use crate::failure::Error;
use crate::ports::hold::{Patience, Place, hold};
use crate::record::{Driver, Endpoint};

/// What was found and done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// Sandboxes that live on.
    pub kept: Vec<ContainerId>,
    /// Sandboxes whose containers are gone, removed.
    pub removed: Vec<ContainerId>,
    /// Sandboxes with something missing that could not be repaired, or that could not be removed wholly, and why.
    pub broken: Vec<(ContainerId, String)>,
    /// Namespaces and links that no row names, removed.
    pub orphans: Vec<String>,
}

impl Networks {
    /// Once after [`Networks::open`]: sandboxes of live containers are looked at and repaired, all others are removed, and
    /// so is whatever carries our marks and is in no row.
    pub fn restore(&self, live: &HashSet<ContainerId>) -> Result<Restored, Error> {
        let shared = &self.shared;
        let mut out = Restored::default();
        let known: Vec<ContainerId> = shared.state().sandboxes.keys().cloned().collect();
        for container in known {
            if !live.contains(&container) {
                match shared.remove_sandbox(&container) {
                    Ok(_) => out.removed.push(container),
                    Err(error) => out.broken.push((container, error.to_string())),
                }
                continue;
            }
            match shared.repair(&container) {
                Ok(()) => out.kept.push(container),
                Err(error) => out.broken.push((container, error.to_string())),
            }
        }
        // What fell to somebody when the engine died, or its disk was full, before that was written down.
        for container in &out.kept {
            if let Err(error) = shared.publish_due(container) {
                out.broken.push((container.clone(), error.to_string()));
            }
        }
        shared.remove_orphans(&mut out)?;
        Ok(out)
    }
}

impl Shared {
    fn repair(self: &Arc<Self>, container: &ContainerId) -> Result<(), Error> {
        let (endpoints, gateway, path) = {
            let state = self.state();
            let endpoints: Vec<Endpoint> = state.of(container).map(|held| held.record.clone()).collect();
            let path = state.sandboxes.get(container).and_then(|sandbox| sandbox.path.clone());
            (endpoints, state.gateway(container).map(|endpoint| endpoint.id.clone()), path)
        };
        let Some(path) = path else { return Ok(()) };
        let sandbox = Namespace::at(&path).map_err(kernel("network namespace"))?;
        // A file that nothing is mounted on is the host's namespace to nobody: entering it would fail later.
        let links = sandbox
            .run(|| Socket::open(Service::Route)?.links())
            .map_err(kernel(format!("network namespace {}", path.display())))?;
        let there: BTreeSet<String> = links.into_iter().map(|link| link.name).collect();
        for endpoint in &endpoints {
            if !there.contains(&endpoint.interface) {
                tracing::warn!(endpoint = %endpoint.id, "interface is missing; making it again");
                self.link().delete_link(&endpoint.host_interface).map_err(kernel("endpoint"))?;
                self.attach(endpoint, gateway.as_ref() == Some(&endpoint.id))?;
            } else {
                self.rejoin(endpoint)?;
            }
            // What has just fallen to it is kept already.
            if self.state().endpoints.get(&endpoint.id).is_some_and(|held| held.holds.is_empty()) {
                self.hold_again(endpoint);
            }
        }
        match endpoints.first() {
            Some(endpoint) => self.start_names(endpoint),
            None => Ok(()),
        }
    }

    /// An interface that is there inside may hang on nothing outside: somebody took its bridge away.
    fn rejoin(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let network = self.state().networks.get(&endpoint.network).map(|held| held.record.clone());
        let Some(network) = network else { return Ok(()) };
        let Some(carrier) = carrier(network.driver) else { return Ok(()) };
        carrier.rejoin(&network, endpoint, &mut self.link())
    }

    /// Keeps the published ports from the host's programs again. One that took a port meanwhile is told; packets go on
    /// to the container all the same.
    pub(super) fn hold_again(&self, endpoint: &Endpoint) {
        let mut holds = Vec::new();
        for port in &endpoint.ports {
            let native = own_address(endpoint, port.host_ip.is_ipv6());
            let served = self.proxied(port.host_ip, port.protocol);
            let Some(own) = native.or_else(|| own_address(endpoint, false).filter(|_| served)) else {
                continue;
            };
            let place = Place { host: port.host_ip, own, served };
            let kept = hold(
                port.protocol,
                &[place],
                port.host_port,
                port.count,
                port.container_port,
                Patience::Copies,
            );
            match kept {
                Ok(hold) => holds.push(hold),
                Err(error) => {
                    tracing::warn!(%error, container = endpoint.name, "a program of the host listens on a published port")
                }
            }
        }
        if let Some(held) = self.state().endpoints.get_mut(&endpoint.id) {
            held.holds = holds;
        }
        if let Err(error) = self.serve_ports(endpoint) {
            tracing::warn!(%error, "published ports are reached by their translation only");
        }
    }

    /// Namespace files and cable ends in our bridges that belong to no row.
    fn remove_orphans(&self, out: &mut Restored) -> Result<(), Error> {
        let (files, ends, bridges) = {
            let state = self.state();
            let files: BTreeSet<String> = state.sandboxes.keys().map(|id| id.short().to_owned()).collect();
            let ends: BTreeSet<String> =
                state.endpoints.values().map(|held| held.record.host_interface.clone()).collect();
            let external = &self.config.default_bridge;
            let bridges: BTreeSet<String> = state
                .networks
                .values()
                .filter(|held| held.record.driver == Driver::Bridge)
                .map(|held| held.record.interface.clone())
                .filter(|name| !(external.external && *name == external.name))
                .collect();
            (files, ends, bridges)
        };
        let dir = self.config.exec_root.join("netns");
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !files.contains(&name) {
                Namespace::unmount(&entry.path()).map_err(kernel("orphaned network namespace"))?;
                out.orphans.push(entry.path().display().to_string());
            }
        }
        let mut link = self.link();
        let links = link.links().map_err(kernel("list links"))?;
        let ours: BTreeSet<u32> =
            links.iter().filter(|link| bridges.contains(&link.name)).map(|link| link.index).collect();
        for orphan in links.iter().filter(|link| {
            link.kind == "veth"
                && link.name.starts_with("veth")
                && link.master.is_some_and(|master| ours.contains(&master))
                && !ends.contains(&link.name)
        }) {
            link.delete_link(&orphan.name).map_err(kernel("orphaned link"))?;
            out.orphans.push(orphan.name.clone());
        }
        Ok(())
    }
}
