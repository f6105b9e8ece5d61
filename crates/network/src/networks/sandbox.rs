//! Sandboxes: network namespaces that the engine owns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_names::ContainerId;
use gantry_netlink::{LinkChange, Namespace, Service, Socket};

use super::{Networks, Shared};
use crate::driver::kernel;
use crate::failure::Error;
use crate::record::{Change, Endpoint};
use crate::spec::{SandboxMode, SandboxSpec};
use crate::state::HeldSandbox;
use crate::sysctl;

/// A sandbox as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The container that owns it.
    pub container: ContainerId,
    /// The namespace's file, to be entered; none in the host's own namespace.
    pub path: Option<PathBuf>,
}

/// Index of `lo`, in every namespace.
const LOOPBACK: u32 = 1;

impl Networks {
    /// Makes a sandbox: its namespace with loopback up, and its files.
    pub fn create_sandbox(&self, spec: SandboxSpec) -> Result<Sandbox, Error> {
        let shared = Arc::clone(&self.shared);
        self.stand(spec.clone(), |path| {
            path.map_or(Ok(()), make_namespace)?;
            shared.write_files(&spec)
        })
    }

    /// Makes a sandbox of the namespace that a process has already. Its files stay as they are, but for the resolver's
    /// with `resolver`.
    pub fn adopt_sandbox(&self, spec: SandboxSpec, process: i32, resolver: bool) -> Result<Sandbox, Error> {
        let shared = Arc::clone(&self.shared);
        self.stand(spec.clone(), |path| {
            path.map_or(Ok(()), |path| adopt_namespace(path, process))?;
            if resolver { shared.write_resolver(&spec) } else { Ok(()) }
        })
    }

    /// Writes a sandbox down and does what makes it; what fails is undone.
    fn stand(
        &self,
        spec: SandboxSpec,
        make: impl FnOnce(Option<&Path>) -> Result<(), Error>,
    ) -> Result<Sandbox, Error> {
        let shared = &self.shared;
        let container = spec.container.clone();
        let path = (spec.mode == SandboxMode::Private).then(|| shared.namespace_path(&container));
        {
            let mut state = shared.state();
            if state.sandboxes.contains_key(&container) {
                return Err(Error::SandboxExists(container.to_string()));
            }
            let held = HeldSandbox { spec: spec.clone(), path: path.clone(), server: None };
            state.sandboxes.insert(container.clone(), held);
        }
        let made = shared.write(&[Change::PutSandbox(spec)]).and_then(|()| make(path.as_deref()));
        if let Err(error) = made {
            if let Err(undo) = self.remove_sandbox(&container) {
                tracing::warn!(error = %undo, "undoing a failed sandbox creation");
            }
            return Err(error);
        }
        Ok(Sandbox { container, path })
    }

    /// A sandbox that stands.
    pub fn sandbox(&self, container: &ContainerId) -> Option<Sandbox> {
        let state = self.shared.state();
        let held = state.sandboxes.get(container)?;
        Some(Sandbox { container: container.clone(), path: held.path.clone() })
    }

    /// Takes a sandbox away with all its endpoints, which are returned. The kernel tears the namespace and the links in it
    /// down in its own time; addresses and ports are free when this returns. A sandbox that is not there is no failure.
    pub fn remove_sandbox(&self, container: &ContainerId) -> Result<Vec<Endpoint>, Error> {
        self.shared.remove_sandbox(container)
    }

    /// The same for a container that is about to start again: who waits for its ports goes on waiting.
    pub fn rest_sandbox(&self, container: &ContainerId) -> Result<Vec<Endpoint>, Error> {
        self.shared.clear_sandbox(container)
    }
}

fn what(path: &Path) -> String {
    format!("network namespace {}", path.display())
}

/// Makes room for a namespace's file.
fn clear(path: &Path) -> Result<(), Error> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|cause| Error::Io { what: what(path), cause })?;
    }
    // A crash may have left the file, mounted or not.
    if path.exists() {
        Namespace::unmount(path).map_err(kernel(what(path)))?;
    }
    Ok(())
}

fn adopt_namespace(path: &Path, process: i32) -> Result<(), Error> {
    clear(path)?;
    let theirs = Namespace::of_process(process).map_err(kernel(what(path)))?;
    // The number may be another process's by now: never the host's own namespace.
    let host = Namespace::current().and_then(|host| host.is(&theirs)).map_err(kernel(what(path)))?;
    if host {
        return Err(Error::HostMode);
    }
    theirs.run(|| Ok(settle())).map_err(kernel(what(path)))??;
    theirs.mount(path).map_err(kernel(what(path)))
}

fn make_namespace(path: &Path) -> Result<(), Error> {
    clear(path)?;
    let (_, settled) = Namespace::create(path, || {
        Socket::open(Service::Route)?.change_link(LOOPBACK, &LinkChange::up())?;
        Ok(settle())
    })
    .map_err(kernel(what(path)))?;
    settled
}

/// Settings of every interface that comes later: no IPv6 until an endpoint has an address of it, and a word to the
/// neighbours when an address appears (an earlier owner of it may be in their caches).
fn settle() -> Result<(), Error> {
    sysctl::write_if_there("net/ipv6/conf/default/disable_ipv6", "1")?;
    sysctl::write_if_there("net/ipv4/conf/default/arp_notify", "1")
}

impl Shared {
    pub(super) fn remove_sandbox(&self, container: &ContainerId) -> Result<Vec<Endpoint>, Error> {
        let cleared = self.clear_sandbox(container);
        let settled = self.settle_heir(container);
        cleared.and_then(|endpoints| settled.map(|()| endpoints))
    }

    fn clear_sandbox(&self, container: &ContainerId) -> Result<Vec<Endpoint>, Error> {
        // From here on its names are nobody's; its addresses and ports are still its own until the rules are gone.
        let (endpoints, path, served) = {
            let mut state = self.state();
            let mut endpoints = Vec::new();
            let mut holds = Vec::new();
            for held in state.endpoints.values_mut().filter(|held| held.record.container == *container) {
                held.live = false;
                holds.append(&mut held.holds);
                endpoints.push(held.record.clone());
            }
            let sandbox = state.sandboxes.get_mut(container);
            let (path, server) = sandbox.map_or((None, None), |s| (s.path.clone(), s.server.take()));
            (endpoints, path, (server, holds))
        };
        // Without the lock: what serves may want it at its end.
        drop(served);
        let mut first = Ok(());
        let mut changes = vec![Change::RemoveSandbox(container.clone())];
        for endpoint in &endpoints {
            first = first.and(self.withdraw_rules(endpoint));
            changes.push(Change::RemoveEndpoint(endpoint.id.clone()));
        }
        if let Some(path) = &path {
            first = first.and(Namespace::unmount(path).map_err(kernel("network namespace")));
        }
        first = first.and(self.write(&changes));
        let mut state = self.state();
        for endpoint in &endpoints {
            state.endpoints.remove(&endpoint.id);
            state.ports.release(&endpoint.id);
        }
        state.sandboxes.remove(container);
        drop(state);
        first.map(|()| endpoints)
    }
}
