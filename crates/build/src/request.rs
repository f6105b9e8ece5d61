//! What a caller asks of a build.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_names::{Platform, Reference};

use crate::built::Built;
use crate::shared::Import;
use crate::step::{Refusal, Task};

/// One build: a Dockerfile's text, the folder it may read, and how to go about it.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The Dockerfile.
    pub dockerfile: String,
    /// Its name, for messages.
    pub dockerfile_name: String,
    /// The unpacked context; `None` for a build of a lone Dockerfile.
    pub context: Option<PathBuf>,
    /// Further folders by name: `--build-context name=...`.
    pub contexts: BTreeMap<String, NamedContext>,
    /// `--build-arg`; `None`: named, with no value given.
    pub args: BTreeMap<String, Option<String>>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--tag`, all of them.
    pub tags: Vec<Reference>,
    /// `--target`: name or number of a stage.
    pub target: Option<String>,
    /// `--platform`.
    pub platform: Option<Platform>,
    /// What is not to be taken from the cache.
    pub no_cache: NoCache,
    /// Images whose layers count as cached: `--cache-from`.
    pub cache_from: Vec<Reference>,
    /// Only those count, and no other step of this machine: the classic builder's way.
    pub cache_only_from: bool,
    /// Steps of other machines: `--cache-from type=...`.
    pub imports: Vec<Import>,
    /// `--pull`: ask the registry also for images that are here.
    pub pull: bool,
    /// One layer for all steps: `--squash`.
    pub squash: bool,
    /// Who holds secrets, agents and credentials.
    pub caller: Arc<dyn Caller>,
    /// Keep the state of a step that failed as an image, so that it can be entered.
    pub keep_failed: bool,
    /// `SOURCE_DATE_EPOCH`: the time of everything that is made, in seconds since 1970.
    pub epoch: Option<i64>,
    /// No file of a new layer is newer than that.
    pub rewrite_timestamp: bool,
    /// Note in the image which step made which layer, so that it can be named by `--cache-from` elsewhere.
    pub inline_cache: bool,
    /// What the caller has granted (`--allow`): `security.insecure`, `network.host`. A Dockerfile alone grants nothing.
    pub granted: BTreeSet<String>,
    /// How steps run.
    pub limits: StepLimits,
}

/// What the one who asked for the build has and the build may ask for, when it needs it.
pub trait Caller: Send + Sync + fmt::Debug {
    /// `--secret`: a value by its id; `None` where there is none.
    fn secret(&self, id: String) -> Task<'_, Result<Option<Vec<u8>>, Refusal>>;

    /// `--ssh`: a socket of the caller's agent by its id. It is there until the build ends.
    fn agent(&self, id: String) -> Task<'_, Result<Option<PathBuf>, Refusal>>;

    /// Credentials for a registry by its host, in the shape of Docker's `X-Registry-Auth`.
    fn credentials(&self, registry: String) -> Task<'_, Result<Option<serde_json::Value>, Refusal>>;
}

/// A caller that has said everything at once: the classic door's.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Values by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Sockets by id.
    pub agents: BTreeMap<String, PathBuf>,
    /// Credentials by registry.
    pub credentials: BTreeMap<String, serde_json::Value>,
}

impl Caller for Given {
    fn secret(&self, id: String) -> Task<'_, Result<Option<Vec<u8>>, Refusal>> {
        Box::pin(async move { Ok(self.secrets.get(&id).cloned()) })
    }

    fn agent(&self, id: String) -> Task<'_, Result<Option<PathBuf>, Refusal>> {
        Box::pin(async move { Ok(self.agents.get(&id).cloned()) })
    }

    fn credentials(&self, registry: String) -> Task<'_, Result<Option<serde_json::Value>, Refusal>> {
        Box::pin(async move { Ok(self.credentials.get(&registry).cloned()) })
    }
}

/// A named context.
#[derive(Debug, Clone)]
pub enum NamedContext {
    /// A folder.
    Folder(PathBuf),
    /// An image.
    Image(Reference),
    /// What another build has made.
    Built(Arc<Built>),
}

/// `--no-cache` and `--no-cache-filter`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NoCache {
    /// The cache counts.
    #[default]
    Nothing,
    /// It does not.
    All,
    /// It does not for these stages.
    Stages(Vec<String>),
}

/// What every RUN of a build gets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepLimits {
    /// `--network`: `default`, `none`, `host`, or a network's name.
    pub network: String,
    /// `--add-host`, as `name:address`.
    pub extra_hosts: Vec<String>,
    /// Bytes; zero: no limit.
    pub memory: i64,
    /// Bytes of memory and swap; zero: no limit.
    pub memory_swap: i64,
    /// Relative weight; zero: the default.
    pub cpu_shares: u64,
    /// Microseconds of a period; zero: the default.
    pub cpu_period: u64,
    /// Microseconds in a period; zero: no limit.
    pub cpu_quota: i64,
    /// Such as `0-2,4`.
    pub cpuset_cpus: String,
    /// Such as `0,1`.
    pub cpuset_mems: String,
    /// Parent control group.
    pub cgroup_parent: String,
    /// Bytes of `/dev/shm`; zero: the default.
    pub shm_size: i64,
    /// `name=soft:hard`.
    pub ulimits: Vec<String>,
}

impl NoCache {
    /// Whether `stage` (by name) must be built anew.
    pub fn covers(&self, stage: Option<&str>) -> bool {
        match self {
            NoCache::Nothing => false,
            NoCache::All => true,
            NoCache::Stages(names) => {
                stage.is_some_and(|stage| names.iter().any(|name| name.eq_ignore_ascii_case(stage)))
            }
        }
    }
}
