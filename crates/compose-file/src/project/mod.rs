//! A project: what all its files say together, each value in one form.
//!
//! Plain data. An attribute that was not given is `None`, empty, zero or `false`, whichever the attribute's own "not
//! given" is in Compose (its config hash is computed over exactly that). Maps are in the order of their keys.

mod blkio;
mod build;
mod data;
mod depends_on;
mod deploy;
mod develop;
mod device;
mod duration;
mod env_file;
mod grant;
mod healthcheck;
mod hook;
mod mount;
mod network;
mod object;
mod port;
mod service;
mod size;
mod ulimit;
mod volume;

pub use blkio::{Blkio, Throttle, WeightOfDevice};
pub use build::{Build, SshKey};
pub use data::Data;
pub use depends_on::{Condition, Dependency};
pub use deploy::{
    Deploy, GenericResource, Placement, Resource, Resources, RestartPolicy, RollingUpdate, UpdateOrder,
};
pub use develop::{Develop, Trigger, WatchAction};
pub use device::{Device, DeviceRequest};
pub use duration::{Duration, WrongDuration};
pub use env_file::EnvFile;
pub use grant::{FileMode, Grant};
pub use healthcheck::Healthcheck;
pub use hook::Hook;
pub use mount::{BindOptions, ImageOptions, Mount, MountKind, TmpfsOptions, VolumeOptions};
pub use network::{Ipam, IpamPool, Network};
pub use object::{Config, Model, Secret, Source};
pub use port::Port;
pub use service::{
    CredentialSpec, Logging, NetworkMode, NetworkOfService, Provider, PullPolicy, Restart, Service,
    ServiceModel,
};
pub use size::{Size, WrongSize};
pub use ulimit::Ulimit;
pub use volume::Volume;

use std::collections::BTreeMap;

use crate::tree::Node;

/// Attributes of the user's own: every key begins with `x-`.
pub type Extensions = BTreeMap<String, Data>;
/// Names and values.
pub type Pairs = BTreeMap<String, String>;
/// Names and values; a name without one takes the environment's, or is left out.
pub type MaybePairs = BTreeMap<String, Option<String>>;

/// A whole project.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Project {
    /// Its name: lowercase letters, digits, `-` and `_`.
    pub name: String,
    /// The absolute folder that relative paths stand on.
    pub working_dir: String,
    /// The files it was read from, absolute, as the label `com.docker.compose.project.config_files` lists them.
    pub files: Vec<String>,
    /// The `--env-file`s (or the `.env` that was found), as `com.docker.compose.project.environment_file` lists them.
    pub env_files: Vec<String>,
    /// The environment: the process's, with the environment files' values where it has none.
    pub environment: Pairs,
    /// The profiles that are on.
    pub profiles: Vec<String>,
    /// The services that are on, by name.
    pub services: BTreeMap<String, Service>,
    /// The services whose profiles are off, by name.
    pub disabled: BTreeMap<String, Service>,
    /// By the name the file gives them; the engine's name is inside.
    pub networks: BTreeMap<String, Network>,
    /// By the name the file gives them; the engine's name is inside.
    pub volumes: BTreeMap<String, Volume>,
    /// By the name the file gives them.
    pub secrets: BTreeMap<String, Secret>,
    /// By the name the file gives them.
    pub configs: BTreeMap<String, Config>,
    /// Language models, which no engine of ours runs.
    pub models: BTreeMap<String, Model>,
    /// The user's own attributes at the top.
    pub extensions: Extensions,
    /// The file has no `services:`: fig's or version 1, whose services share the engine's default network.
    pub first_era: bool,
    /// The services as their files write them, by name: what docker-compose 1.29 hashes.
    pub written: BTreeMap<String, Node>,
    /// The seccomp profiles that services name, by their paths as they are written.
    pub seccomp: BTreeMap<String, String>,
    /// What the user should hear though it is no mistake, in the order it was seen.
    pub warnings: Vec<String>,
}

impl Project {
    /// Gives services that are built the platform of `DOCKER_DEFAULT_PLATFORM` where they have none: it counts in their
    /// config hash.
    pub fn apply_default_platform(&mut self) -> Result<(), String> {
        let platform = self.environment.get("DOCKER_DEFAULT_PLATFORM").filter(|name| !name.is_empty());
        let Some(platform) = platform else { return Ok(()) };
        for (name, service) in &mut self.services {
            let Some(build) = service.build.as_ref().filter(|_| service.platform.is_empty()) else {
                continue;
            };
            if !build.platforms.is_empty() && !build.platforms.contains(platform) {
                return Err(format!(
                    "service {name:?} build.platforms does not support value set by DOCKER_DEFAULT_PLATFORM: {platform}"
                ));
            }
            service.platform.clone_from(platform);
        }
        Ok(())
    }

    /// A service by name, whether its profile is on or off.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name).or_else(|| self.disabled.get(name))
    }
}

/// The file of a `security_opt` that names a seccomp profile.
pub fn seccomp_file(option: &str) -> Option<&str> {
    let (name, path) = option.split_once(['=', ':'])?;
    (name == "seccomp" && !matches!(path, "unconfined" | "builtin")).then_some(path)
}
