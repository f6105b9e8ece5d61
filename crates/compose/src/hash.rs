//! The hash of a thing's settings: when it differs from the label's, the thing is out of date.

use gantry_compose_file::project::{Network, Service, Volume};

/// A service's.
pub(crate) fn service(service: &Service) -> String {
    let mut own = service.clone();
    own.build = None;
    own.scale = None;
    own.pull_policy.clear();
    own.depends_on.clear();
    own.profiles.clear();
    if let Some(deploy) = &mut own.deploy {
        deploy.replicas = None;
    }
    stand_in(&own)
}

/// A network's.
pub(crate) fn network(network: &Network) -> String {
    stand_in(network)
}

/// A volume's.
pub(crate) fn volume(volume: &Volume) -> String {
    stand_in(volume)
}

fn stand_in(value: &impl std::fmt::Debug) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    format!("{value:?}").hash(&mut hasher);
    format!("{:064x}", hasher.finish())
}
