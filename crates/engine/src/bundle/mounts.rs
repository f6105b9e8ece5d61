//! The container's mount table: the kernel's file systems, the engine's files, what was asked for.

use std::path::PathBuf;

use gantry_runtime_lib::spec as oci;

use super::security::Security;
use super::{INIT_TARGET, Inputs};
use crate::selinux;
use crate::spec::{IpcMode, Propagation, ReadOnly};

/// Docker's `/dev/shm`.
const SHM_BYTES: i64 = 64 << 20;

/// A mount with its source known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundMount {
    /// A file or folder of the host.
    Bind {
        /// On the host.
        source: PathBuf,
        /// In the container.
        target: String,
        /// How read-only.
        read_only: ReadOnly,
        /// `None` is rprivate.
        propagation: Option<Propagation>,
        /// Without what is mounted beneath.
        non_recursive: bool,
    },
    /// Memory.
    Tmpfs {
        /// In the container.
        target: String,
        /// Mount options, separated by commas.
        options: String,
    },
}

impl BoundMount {
    fn target(&self) -> &str {
        match self {
            BoundMount::Bind { target, .. } | BoundMount::Tmpfs { target, .. } => target,
        }
    }
}

fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> oci::Mount {
    oci::Mount {
        destination: target.into(),
        kind: Some(kind.to_owned()),
        source: Some(source.into()),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..oci::Mount::default()
    }
}

pub(super) fn all(inputs: &Inputs<'_>, own_network: bool, security: &Security) -> Vec<oci::Mount> {
    let spec = &inputs.record.spec;
    let asked_for = |target: &str| inputs.mounts.iter().any(|mount| mount.target() == target);
    let mut table = Vec::new();
    let mut add = |mount: oci::Mount| {
        // What a person mounts at one of these places takes its place.
        if !asked_for(&mount.destination.to_string_lossy()) {
            table.push(mount);
        }
    };
    add(mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]));
    add(mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]));
    let pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    add(mount("/dev/pts", "devpts", "devpts", &pts));
    let read_only = if spec.privileged { "rw" } else { "ro" };
    if own_network {
        add(mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", read_only]));
    } else {
        // sysfs shows the network namespace of whoever mounts it: the host's is bound instead.
        add(mount("/sys", "bind", "/sys", &["rbind", "nosuid", "noexec", "nodev", read_only]));
    }
    let cgroup = if security.writable_cgroups.unwrap_or(spec.privileged) { "rw" } else { "ro" };
    add(mount("/sys/fs/cgroup", "cgroup", "cgroup", &[cgroup, "nosuid", "noexec", "nodev"]));
    if security.sees_selinux() && inputs.host.selinux.is_on() {
        add(mount(selinux::FILE_SYSTEM, "bind", selinux::FILE_SYSTEM, &["bind", "nosuid", "noexec"]));
    }
    match (&spec.ipc_mode, inputs.ipc_of) {
        (IpcMode::Host, _) => {
            add(mount("/dev/mqueue", "bind", "/dev/mqueue", &["rbind", "nosuid", "noexec", "nodev"]));
            add(mount("/dev/shm", "bind", "/dev/shm", &["rbind", "rprivate"]));
        }
        (IpcMode::Container(_), Some(pid)) => {
            add(mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]));
            add(mount("/dev/shm", "bind", &format!("/proc/{pid}/root/dev/shm"), &["rbind", "rprivate"]));
        }
        (mode, _) => {
            add(mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]));
            if *mode != IpcMode::None {
                let bytes = if spec.shm_size > 0 { spec.shm_size } else { SHM_BYTES };
                let size = format!("size={bytes}");
                add(mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &size]));
            }
        }
    }
    let mut asked: Vec<&BoundMount> = inputs.mounts.iter().collect();
    // A mount above must be there before one below it.
    asked.sort_by_key(|mount| mount.target().split('/').filter(|part| !part.is_empty()).count());
    table.extend(asked.into_iter().map(bound));
    if let Some(init) = &inputs.init {
        table.push(mount(INIT_TARGET, "bind", &init.to_string_lossy(), &["bind", "ro"]));
    }
    table
}

fn bound(asked: &BoundMount) -> oci::Mount {
    match asked {
        BoundMount::Bind { source, target, read_only, propagation, non_recursive } => {
            let mut options = vec![if *non_recursive { "bind" } else { "rbind" }];
            match read_only {
                ReadOnly::No => {}
                ReadOnly::NonRecursive => options.push("ro"),
                ReadOnly::Yes | ReadOnly::ForceRecursive if *non_recursive => options.push("ro"),
                ReadOnly::Yes | ReadOnly::ForceRecursive => options.push("rro"),
            }
            options.push(propagation.unwrap_or(Propagation::Rprivate).as_str());
            mount(target, "bind", &source.to_string_lossy(), &options)
        }
        BoundMount::Tmpfs { target, options } => {
            let asked: Vec<&str> = options.split(',').filter(|word| !word.is_empty()).collect();
            let opposite = |word: &str| match word {
                "noexec" => "exec",
                "nosuid" => "suid",
                _ => "dev",
            };
            let mut all: Vec<&str> = ["noexec", "nosuid", "nodev"]
                .into_iter()
                .filter(|word| !asked.contains(&opposite(word)) && !asked.contains(word))
                .collect();
            all.extend(asked);
            mount(target, "tmpfs", "tmpfs", &all)
        }
    }
}

/// A shared or slave mount needs a root that lets it through.
pub(super) fn root_propagation(mounts: &[BoundMount]) -> Option<String> {
    let mut wanted = None;
    for mount in mounts {
        match mount {
            BoundMount::Bind { propagation: Some(Propagation::Shared | Propagation::Rshared), .. } => {
                return Some("shared".to_owned());
            }
            BoundMount::Bind { propagation: Some(Propagation::Slave | Propagation::Rslave), .. } => {
                wanted = Some("slave".to_owned());
            }
            _ => {}
        }
    }
    wanted
}
