//! The engine's own settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::record::ContainerRecord;
use crate::spec::{IpcMode, LogConfig, Ulimit};

/// What the daemon decides once. Everything has Docker's default.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// What must survive a reboot.
    pub data_root: PathBuf,
    /// Bundles and sockets; gone after a reboot.
    pub exec_root: PathBuf,
    /// The shim's program; also bound into containers as their init.
    pub shim: PathBuf,
    /// OCI runtimes by name, beside our own (which is called `gantry`): program and arguments.
    pub runtimes: BTreeMap<String, ForeignRuntime>,
    /// The runtime of containers that ask for none.
    pub default_runtime: String,
    /// The parent of containers' cgroups.
    pub cgroup_parent: String,
    /// `--init` for containers that do not say.
    pub init: bool,
    /// The log of containers that ask for none.
    pub log: LogConfig,
    /// The soft limit of descriptors that the engine was started with, and containers have. `None` is whatever it has now.
    pub soft_descriptors: Option<u64>,
    /// `--default-ulimit`.
    pub default_ulimits: Vec<Ulimit>,
    /// `--default-shm-size` in bytes.
    pub default_shm_size: i64,
    /// `--default-ipc-mode`.
    pub default_ipc_mode: IpcMode,
    /// `--seccomp-profile`: its text, or `unconfined`; `None` is the built-in one.
    pub seccomp_profile: Option<String>,
    /// `--no-new-privileges`.
    pub no_new_privileges: bool,
    /// `--selinux-enabled`: containers are labelled where the kernel has SELinux.
    pub selinux: bool,
    /// `--live-restore`: containers run on when the engine is told to end.
    pub live_restore: bool,
    /// How long the engine's end waits for its containers.
    pub shutdown_timeout: Duration,
    /// `--label`.
    pub labels: Vec<String>,
    /// How images travel.
    pub transfers: Transfers,
    /// For `info`.
    pub facts: InfoFacts,
}

/// How images travel to and from registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfers {
    /// `--max-concurrent-downloads`: blobs at once, over all pulls.
    pub downloads: usize,
    /// `--max-concurrent-uploads`.
    pub uploads: usize,
    /// `--max-download-attempts` that bring no byte.
    pub attempts: u32,
    /// Folders with a folder per registry (`certs.d`), asked before the usual ones.
    pub certificates: Vec<PathBuf>,
}

impl Default for Transfers {
    fn default() -> Transfers {
        Transfers { downloads: 3, uploads: 5, attempts: 5, certificates: Vec::new() }
    }
}

/// An OCI runtime with runc's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRuntime {
    /// The program.
    pub path: PathBuf,
    /// Arguments before the command.
    pub args: Vec<String>,
}

/// Settings that `info` shows; others act on them.
#[derive(Debug, Clone, Default)]
pub struct InfoFacts {
    /// `-D`.
    pub debug: bool,
    /// `--experimental`.
    pub experimental: bool,
    /// `--insecure-registry`.
    pub insecure_registries: Vec<String>,
    /// `--registry-mirror`.
    pub mirrors: Vec<String>,
    /// `--default-address-pool`: base and size.
    pub address_pools: Vec<(String, u8)>,
    /// `nftables` or `iptables`.
    pub firewall: String,
    /// Proxies for the engine's own requests.
    pub http_proxy: String,
    /// See `http_proxy`.
    pub https_proxy: String,
    /// See `http_proxy`.
    pub no_proxy: String,
}

/// The name of our own runtime.
pub const OWN_RUNTIME: &str = "gantry";

/// Docker's names for the runtime that comes with its engine: they mean ours, unless the configuration gives them a meaning.
pub const DOCKERS_NAMES: &[&str] = &["runc", "io.containerd.runc.v2"];

impl EngineConfig {
    /// Whether a runtime of this name is our own.
    pub fn runs_itself(&self, runtime: &str) -> bool {
        runtime == OWN_RUNTIME || DOCKERS_NAMES.contains(&runtime) && !self.runtimes.contains_key(runtime)
    }

    /// The cgroup that a container is started in, below every hierarchy's root.
    pub(crate) fn cgroup_of(&self, record: &ContainerRecord) -> String {
        let asked = &record.spec.cgroup_parent;
        let parent = if asked.is_empty() { &self.cgroup_parent } else { asked };
        std::path::Path::new("/").join(parent).join(record.id.as_str()).display().to_string()
    }

    /// Defaults, for these folders and this shim.
    pub fn new(data_root: PathBuf, exec_root: PathBuf, shim: PathBuf) -> EngineConfig {
        EngineConfig {
            data_root,
            exec_root,
            shim,
            runtimes: BTreeMap::new(),
            default_runtime: OWN_RUNTIME.to_owned(),
            cgroup_parent: "/gantry".to_owned(),
            init: false,
            log: LogConfig { driver: "json-file".to_owned(), options: BTreeMap::new() },
            soft_descriptors: None,
            default_ulimits: Vec::new(),
            default_shm_size: 64 << 20,
            default_ipc_mode: IpcMode::Private,
            seccomp_profile: None,
            no_new_privileges: false,
            selinux: false,
            live_restore: false,
            shutdown_timeout: Duration::from_secs(15),
            labels: Vec::new(),
            transfers: Transfers::default(),
            facts: InfoFacts::default(),
        }
    }
}

/// Finds the shim: `GANTRY_SHIM`, else beside the running program, else on the `PATH`.
pub fn find_shim() -> Option<PathBuf> {
    const NAME: &str = "gantry-shim";
    if let Some(named) = std::env::var_os("GANTRY_SHIM") {
        return Some(named.into());
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(NAME)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join(NAME));
    beside.into_iter().chain(on_path).find(|candidate| candidate.is_file())
}
