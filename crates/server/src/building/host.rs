//! What BuildKit's door asks of the engine: a registry, and an address.

use std::fmt;
use std::net::IpAddr;

use gantry_engine::Engine;
use gantry_errdefs::{Classified, chain};
use gantry_names::{Digest, ImageId, Reference};
use gantry_solver::{Host, Refusal, Task};

/// The network whose gateway containers know the host by.
const BRIDGE: &str = "bridge";

/// The engine.
pub(crate) struct EngineHost(pub(crate) Engine);

impl fmt::Debug for EngineHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineHost")
    }
}

fn refusal(error: &gantry_engine::Error) -> Refusal {
    Refusal { class: error.class(), message: chain(error) }
}

impl Host for EngineHost {
    fn push_manifest(
        &self,
        name: Reference,
        manifest: Digest,
        image: Option<ImageId>,
        auth: Option<serde_json::Value>,
    ) -> Task<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let pushed = self.0.registry_push(&name, &manifest, image.as_ref(), auth).await;
            pushed.map_err(|error| refusal(&error))
        })
    }

    fn manifest(
        &self,
        name: Reference,
        auth: Option<serde_json::Value>,
    ) -> Task<'_, Result<Vec<u8>, Refusal>> {
        Box::pin(async move { self.0.registry_manifest(&name, auth).await.map_err(|error| refusal(&error)) })
    }

    fn blob(
        &self,
        name: Reference,
        digest: Digest,
        size: u64,
        auth: Option<serde_json::Value>,
    ) -> Task<'_, Result<(), Refusal>> {
        Box::pin(async move {
            self.0.registry_blob(&name, &digest, size, auth).await.map_err(|error| refusal(&error))
        })
    }

    fn host_gateway(&self) -> Task<'_, Option<IpAddr>> {
        Box::pin(async move {
            let (network, _) = self.0.network_inspect(BRIDGE).await.ok()?;
            network.pools.iter().find_map(|pool| pool.gateway)
        })
    }
}
