//! What has to be known of a running container to work on it from another process.

use std::path::PathBuf;

use gantry_cgroups::Saved;
use serde::{Deserialize, Serialize};

use crate::spec::{Hooks, Process};

/// Serialise this to find the container again: [`Container::attach`](crate::Container::attach).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub bundle: PathBuf,
    pub annotations: std::collections::BTreeMap<String, String>,
    /// The first process, in the caller's pid namespace.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: tells the process from a later one with the same number.
    pub start_time: u64,
    /// Bits of `CLONE_NEW*`: the namespaces that are not the runtime's own.
    pub namespaces: u32,
    pub cgroup: Saved,
    /// The container's own process: what exec sessions start from.
    pub process: Process,
    pub seccomp: Option<crate::spec::Seccomp>,
    pub hooks: Hooks,
    pub rootfs: PathBuf,
    pub oci_version: String,
}

/// When the process was born, in clock ticks since boot; `None` when there is none.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything.
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
