//! What was asked: a container's typed specification.
//!
//! The server turns wire bodies into a [`ContainerSpec`]; from here on nothing is text that has a meaning. After
//! `create` the spec in the record is the *merged* one: what was asked, with the image's defaults filled in.

mod health;
mod modes;
mod mounts;
mod network;
mod resources;
mod restart;

pub use health::Healthcheck;
pub use modes::{CgroupnsMode, IpcMode, NetworkMode, PidMode, UsernsMode, UtsMode};
pub use mounts::{
    BindOptions, BindRequest, BindSource, ImageOptions, MountKind, MountRequest, Propagation, ReadOnly,
    TmpfsOptions, VolumeOptions, VolumesFrom,
};
pub use network::{EndpointSpec, HostBinding, PortSpec, Protocol};
pub use resources::{DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice};
pub use restart::RestartPolicy;

use std::collections::{BTreeMap, BTreeSet};

use gantry_names::Platform;
use serde::{Deserialize, Serialize};

/// Everything `docker create` can ask for. Absent stays absent (`None`, empty) until the image's config is merged in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// The image as it was asked for: a reference, an id or a short id. Kept for `inspect` and `ps`.
    pub image: String,
    /// Arguments, or the whole command line when there is no entrypoint. `None` takes the image's.
    pub command: Option<Vec<String>>,
    /// `None` takes the image's; `Some([""])` or `Some([])` clears it.
    pub entrypoint: Option<Vec<String>>,
    /// `KEY=value`, or `KEY` to remove what the image sets.
    pub env: Vec<String>,
    /// `user[:group]`, names or numbers; empty takes the image's.
    pub user: String,
    /// Absolute; empty takes the image's, and `/` without one.
    pub working_dir: String,
    /// Empty: the short id (or the host's name with the host's network or UTS namespace).
    pub hostname: String,
    /// The part after the host name.
    pub domainname: String,
    /// A terminal.
    pub tty: bool,
    /// Keep stdin open even when nobody is attached.
    pub open_stdin: bool,
    /// Close stdin after the first attached client leaves.
    pub stdin_once: bool,
    /// What the creating client attached; shown by `inspect` only.
    pub attach_stdin: bool,
    /// See `attach_stdin`.
    pub attach_stdout: bool,
    /// See `attach_stdin`.
    pub attach_stderr: bool,
    /// Labels; the image's are merged under them.
    pub labels: BTreeMap<String, String>,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
    /// `None` takes the image's.
    pub healthcheck: Option<Healthcheck>,
    /// `SIGTERM`, `TERM` or a number; empty takes the image's, and SIGTERM without one.
    pub stop_signal: String,
    /// Seconds `stop` waits before it kills; negative waits for ever; `None` is ten.
    pub stop_timeout: Option<i64>,
    /// The shell of shell-form health checks and builds; from the image.
    pub shell: Option<Vec<String>>,
    /// Ports the container listens on.
    pub exposed_ports: BTreeSet<PortSpec>,
    /// How ports were written where it was not `80/tcp` (`80`, `80/TCP`): they are shown so.
    pub port_words: BTreeMap<PortSpec, String>,
    /// Anonymous volumes by their place in the container (`-v /data`, and the image's VOLUME).
    pub volumes: BTreeSet<String>,
    /// `docker create --network-disabled` of old: no network at all.
    pub network_disabled: bool,
    /// The address asked for by the old, container-wide `MacAddress` field.
    pub mac_address: String,
    /// The image's build triggers, for `inspect`.
    pub on_build: Vec<String>,

    /// Lists of the wire's host part that were given, and empty: shown as `[]`, where those left out are `null`.
    pub empty_lists: BTreeSet<String>,

    /// `-v` in its short form.
    pub binds: Vec<BindRequest>,
    /// `--mount`.
    pub mounts: Vec<MountRequest>,
    /// `--tmpfs`: place -> mount options (`size=64m,mode=1777`).
    pub tmpfs: BTreeMap<String, String>,
    /// `--volumes-from`.
    pub volumes_from: Vec<VolumesFrom>,
    /// Driver for anonymous and new named volumes; empty is `local`.
    pub volume_driver: String,
    /// The root is read-only.
    pub read_only_rootfs: bool,
    /// `/dev/shm` in bytes; 0 takes the default of 64 MiB.
    pub shm_size: i64,
    /// `--storage-opt`.
    pub storage_opts: BTreeMap<String, String>,

    /// Limits.
    pub resources: Resources,
    /// `/proc/<pid>/oom_score_adj`, -1000 to 1000.
    pub oom_score_adj: i32,
    /// Capabilities added to the default list; with or without `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities taken away.
    pub cap_drop: Vec<String>,
    /// Everything the host can give.
    pub privileged: bool,
    /// `seccomp=…`, `apparmor=…`, `label=…`, `no-new-privileges[:true]`, `systempaths=unconfined`, `writable-cgroups=…`.
    pub security_opts: Vec<String>,
    /// `None` takes the default list, `Some([])` masks nothing.
    pub masked_paths: Option<Vec<String>>,
    /// `None` takes the default list.
    pub readonly_paths: Option<Vec<String>>,
    /// Supplementary groups, names or numbers.
    pub group_add: Vec<String>,
    /// Kernel parameters of the container's own namespaces.
    pub sysctls: BTreeMap<String, String>,

    /// The network namespace, or the first network.
    pub network_mode: NetworkMode,
    /// The ipc namespace.
    pub ipc_mode: IpcMode,
    /// The pid namespace.
    pub pid_mode: PidMode,
    /// The uts namespace.
    pub uts_mode: UtsMode,
    /// The user namespace.
    pub userns_mode: UsernsMode,
    /// The cgroup namespace.
    pub cgroupns_mode: CgroupnsMode,
    /// The parent of the container's cgroup; empty is the engine's own.
    pub cgroup_parent: String,

    /// Per network name or id: how the container joins it.
    pub endpoints: BTreeMap<String, EndpointSpec>,
    /// `-p`.
    pub port_bindings: BTreeMap<PortSpec, Vec<HostBinding>>,
    /// `-P`.
    pub publish_all_ports: bool,
    /// Name servers.
    pub dns: Vec<String>,
    /// Resolver options.
    pub dns_options: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// `name:address`; the address may be `host-gateway`.
    pub extra_hosts: Vec<String>,
    /// `--link`, `container:alias`.
    pub links: Vec<String>,

    /// A tiny init as the first process. `None` takes the engine's default.
    pub init: Option<bool>,
    /// The OCI runtime's name; empty is the engine's default.
    pub runtime: String,
    /// The platform asked for, `None` for the host's.
    pub platform: Option<Platform>,
    /// The log driver and its options; an empty driver takes the engine's default.
    pub log: LogConfig,
    /// What happens after an exit.
    pub restart: RestartPolicy,
    /// Remove the container when it exits.
    pub auto_remove: bool,
    /// Where the client writes the id; shown by `inspect` only.
    pub container_id_file: String,
    /// The client's terminal size, rows then columns, for the first process.
    pub console_size: [u32; 2],
    /// `--isolation`; only `default` and empty exist here.
    pub isolation: String,
}

impl ContainerSpec {
    /// It lives in another container's network namespace.
    pub fn network_mode_is_container(&self) -> bool {
        matches!(self.network_mode, NetworkMode::Container(_))
    }
}

/// A log driver and its options, as asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// `json-file`, `local`, `none`; empty is the default.
    pub driver: String,
    /// `max-size`, `max-file`, `compress`, `labels`, `env`, `tag`, ….
    pub options: BTreeMap<String, String>,
}
