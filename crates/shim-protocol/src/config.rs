//! What a shim is told when it is spawned.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gantry_names::ContainerId;
use serde::{Deserialize, Serialize};

/// `shim.json`: everything about the container that the OCI spec has no word for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShimConfig {
    /// The container.
    pub id: ContainerId,
    /// Its first process has a terminal.
    #[serde(default)]
    pub tty: bool,
    /// Its first process has a standard input that stays open; without, it reads `/dev/null`.
    #[serde(default)]
    pub open_stdin: bool,
    /// Close that input when the first attachment that writes it ends.
    #[serde(default)]
    pub stdin_once: bool,
    /// The terminal's first size, rows and columns.
    #[serde(default)]
    pub console_size: Option<(u16, u16)>,
    /// What is mounted as the container's root.
    pub root: RootMount,
    /// Images that the container mounts beside its root.
    #[serde(default)]
    pub images: Vec<ImageMount>,
    /// Where its output goes.
    pub log: LogSpec,
    /// Who makes the container.
    pub runtime: RuntimeSpec,
    /// The container's cgroup below each hierarchy's root, as in the spec's `linux.cgroupsPath`.
    #[serde(default)]
    pub cgroup: String,
    /// The shim's own `oom_score_adj`; containerd's shims take their parent's plus one, never 1000.
    #[serde(default)]
    pub oom_score_adj: Option<i32>,
    /// The soft limit of open descriptors for what runs in the container, unless its spec sets one: the spawner may have raised its
    /// own.
    #[serde(default)]
    pub soft_descriptors: Option<u64>,
    /// Start the program at once: the answer to the spawn is then the running process' pid. Not for attached
    /// runs, which attach between create and start.
    #[serde(default)]
    pub start: bool,
}

/// What is mounted as a container's root, inside its own mount namespace: the host never sees the mount, so
/// nothing of it is left after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootMount {
    /// An overlay.
    Overlay {
        /// Lower folders, the topmost first.
        lower: Vec<PathBuf>,
        /// The folder that takes the writes; without, the root is read-only.
        #[serde(default)]
        upper: Option<PathBuf>,
        /// Overlayfs' working folder, on the upper folder's filesystem.
        #[serde(default)]
        work: Option<PathBuf>,
        /// More overlayfs options, as `name` or `name=value`.
        #[serde(default)]
        options: Vec<String>,
    },
    /// A folder.
    Dir {
        /// The folder.
        path: PathBuf,
        /// Mount it read-only.
        #[serde(default)]
        read_only: bool,
    },
    /// What the OCI spec's `root.path` names, as it is.
    Path,
}

/// An image that is mounted in the keeper's own mount namespace, for the spec's mounts to bind: like the root, the host
/// never sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageMount {
    /// Where the spec's mounts find it: a folder or file of the bundle that is not there yet.
    pub name: String,
    /// The image's root.
    pub root: RootMount,
    /// The file or folder in it that is wanted; empty for all of it.
    #[serde(default)]
    pub subpath: String,
}

/// Where output goes: the parsed form of `--log-driver` and `--log-opt`, made by `gantry-logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// `json-file`, `local` or `none`.
    pub driver: String,
    /// The file, for drivers that write one.
    #[serde(default)]
    pub path: PathBuf,
    /// `--log-opt`, as given, already validated.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// What `labels`, `env` and `tag` options add to each record, already resolved.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// Who makes the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeSpec {
    /// Our own runtime, linked into the shim.
    Own {
        /// Where it keeps its state.
        root: PathBuf,
    },
    /// A program with the OCI runtime command line, like runc or crun.
    Foreign {
        /// The program.
        path: PathBuf,
        /// Arguments before the command, like `--systemd-cgroup`.
        #[serde(default)]
        args: Vec<String>,
        /// Where it keeps its state (`--root`).
        root: PathBuf,
    },
}
