//! Config hashes: what a container, network or volume was made from, in one line, so that an unchanged one is left alone.
//!
//! Source: Compose's label `com.docker.compose.config-hash`, SHA-256 over the JSON of what is configured, equal to the
//! byte: containers of Compose v2 are taken over without being made anew, and ours by it.

use sha2::{Digest, Sha256};

use crate::project::{Network, Project, Service, Volume};
use crate::render;

pub use crate::first_hash::Containers;

/// A service's hash. How it is built, pulled, scaled and what it waits for do not count.
pub fn service(service: &Service) -> String {
    let mut service = service.clone();
    service.build = None;
    service.pull_policy.clear();
    service.scale = None;
    if let Some(deploy) = &mut service.deploy {
        deploy.replicas = None;
    }
    service.depends_on.clear();
    service.profiles.clear();
    hex(&render::hashed_service(&service))
}

/// A network's hash.
pub fn network(network: &Network) -> String {
    hex(&render::hashed_network(network))
}

/// A volume's hash; no driver is the driver `local`.
pub fn volume(volume: &Volume) -> String {
    let mut volume = volume.clone();
    if volume.driver.is_empty() {
        "local".clone_into(&mut volume.driver);
    }
    hex(&render::hashed_volume(&volume))
}

/// The hash that docker-compose 1.29 has for a service whose image is `image_id` (`sha256:...`), so that its containers can
/// be taken over. None where a service has attributes whose form in that hash is not known: it counts as changed then.
pub fn first(
    project: &Project,
    service: &str,
    image_id: Option<&str>,
    containers: Containers<'_>,
) -> Option<String> {
    crate::first_hash::text(project, service, image_id, containers).map(|text| hex(&text))
}

fn hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
