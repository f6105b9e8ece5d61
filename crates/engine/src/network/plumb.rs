//! Interfaces and routes by hand, into a running container: pipework's job at the engine's door.

use gantry_network::{PlumbSpec, Plumbed, RouteSpec, Target, plumb, reroute};

use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::spec::NetworkMode;

impl Engine {
    /// Adds an interface to a running container. No record is kept: it goes with the container's namespace.
    pub async fn network_plumb(
        &self,
        container: &str,
        spec: impl FnOnce(Target) -> PlumbSpec + Send + 'static,
    ) -> Result<Plumbed> {
        let target = self.plumb_target(container)?;
        blocking(move || Ok(plumb(&spec(target))?)).await
    }

    /// Changes a route of a running container.
    pub async fn network_route(
        &self,
        container: &str,
        spec: impl FnOnce(Target) -> RouteSpec + Send + 'static,
    ) -> Result<()> {
        let target = self.plumb_target(container)?;
        blocking(move || Ok(reroute(&spec(target))?)).await
    }

    fn plumb_target(&self, who: &str) -> Result<Target> {
        let pid = self.running_pid(who, "network")?;
        let record = self.find(who)?.record();
        if record.spec.network_mode == NetworkMode::Host {
            return Err(Error::Conflict(format!(
                "container {who} is on the host's own network: give the host's interface what it needs"
            )));
        }
        // The sandbox is the engine's and cannot become another process's meanwhile, as a number can.
        let sandbox = self.inner.network.owner().ok().and_then(|networks| networks.sandbox(&record.id));
        Ok(sandbox.and_then(|sandbox| sandbox.path).map_or(Target::Process(pid), Target::File))
    }
}
