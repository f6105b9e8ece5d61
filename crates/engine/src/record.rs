//! What the store holds of a container: the spec it was made from, and one state.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gantry_names::{ContainerId, ContainerName, EndpointId, ImageId, NetworkId, Platform};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::selinux::Labels;
use crate::spec::{ContainerSpec, HostBinding, PortSpec, Propagation, ReadOnly};

/// A container's record. Written at `create`, at every change of its state, and removed last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// Its identity.
    pub id: ContainerId,
    /// Its present name.
    pub name: ContainerName,
    /// When `create` was called.
    pub created: Timestamp,
    /// The image it is made from.
    pub image: ImageId,
    /// The image's platform.
    pub platform: Platform,
    /// What was asked, with the image's defaults merged in.
    pub spec: ContainerSpec,
    /// Every mount a person asked for, resolved.
    pub mounts: Vec<MountPoint>,
    /// The snapshot driver that holds its root.
    pub snapshot_driver: String,
    /// Where it stands in its life.
    pub state: State,
    /// How often the restart policy has started it since the last start by hand.
    #[serde(default)]
    pub restart_count: u32,
    /// A person stopped it (and no person has started it since).
    #[serde(default)]
    pub stopped_by_hand: bool,
    /// The last health status and probes, when it has a check; kept while it is stopped.
    #[serde(default)]
    pub health: Option<Health>,
    /// Its place in the networks.
    #[serde(default)]
    pub network: NetworkRecord,
    /// SELinux' labels, decided at `create`.
    #[serde(default)]
    pub selinux: Labels,
}

/// Where a container stands in its life: exactly one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum State {
    /// `create` has begun and not ended. Seen only after a crash, which undoes it.
    Creating,
    /// Made, never run. A start that failed leaves its reason here.
    Created {
        /// Why the last start failed.
        failure: Option<StartFailure>,
    },
    /// Its process runs.
    Running(Process),
    /// Its processes are frozen.
    Paused(Process),
    /// It has exited and waits for its next start.
    Restarting {
        /// How it ended.
        exit: Exit,
    },
    /// It has exited.
    Exited {
        /// How it ended.
        exit: Exit,
        /// Why a later start failed.
        failure: Option<StartFailure>,
    },
    /// `remove` has begun. A crash finishes it.
    Removing {
        /// How it ended, if it ever ran.
        exit: Option<Exit>,
    },
    /// A removal failed; only removing is left.
    Dead {
        /// How it ended, if it ever ran.
        exit: Option<Exit>,
        /// What could not be removed.
        cause: String,
    },
}

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number on the host.
    pub pid: i32,
    /// When it was started.
    pub started_at: Timestamp,
    /// Its cgroup below every hierarchy's root: what the engine was told of parents may be another by now.
    /// Empty in records of engines that did not write it.
    #[serde(default)]
    pub cgroup: String,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0 to 255; 128+n for a signal.
    pub code: i32,
    /// The kernel killed it for memory.
    pub oom_killed: bool,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// Why a start failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    /// 126, 127 or 128.
    pub code: i32,
    /// The text the caller saw.
    pub error: String,
}

impl State {
    /// Docker's word.
    pub fn status(&self) -> &'static str {
        match self {
            State::Creating | State::Created { .. } => "created",
            State::Running(_) => "running",
            State::Paused(_) => "paused",
            State::Restarting { .. } => "restarting",
            State::Exited { .. } => "exited",
            State::Removing { .. } => "removing",
            State::Dead { .. } => "dead",
        }
    }

    /// The living process: running or paused.
    pub fn process(&self) -> Option<&Process> {
        match self {
            State::Running(process) | State::Paused(process) => Some(process),
            _ => None,
        }
    }

    /// Whether a process lives (running or paused).
    pub fn is_alive(&self) -> bool {
        self.process().is_some()
    }

    /// How it ended last, while it is not alive.
    pub fn exit(&self) -> Option<&Exit> {
        match self {
            State::Restarting { exit } | State::Exited { exit, .. } => Some(exit),
            State::Removing { exit } | State::Dead { exit, .. } => exit.as_ref(),
            _ => None,
        }
    }

    /// Why the last start failed.
    pub fn failure(&self) -> Option<&StartFailure> {
        match self {
            State::Created { failure } | State::Exited { failure, .. } => failure.as_ref(),
            _ => None,
        }
    }

    /// The code `inspect` and `wait` show: of the failed start, else of the last exit, else 0.
    pub fn exit_code(&self) -> i32 {
        self.failure().map(|f| f.code).or_else(|| self.exit().map(|exit| exit.code)).unwrap_or(0)
    }
}

/// Health as the engine watches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Where it stands.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last five probes, oldest first.
    pub log: Vec<ProbeResult>,
}

/// Docker's health words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Not known yet.
    Starting,
    /// The last probe was good.
    Healthy,
    /// Too many bad ones in a row, or stopped.
    Unhealthy,
}

impl HealthStatus {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthStatus::Starting => "starting",
            HealthStatus::Healthy => "healthy",
            HealthStatus::Unhealthy => "unhealthy",
        }
    }
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// 0 good, 1 bad, -1 timed out or could not run.
    pub exit_code: i32,
    /// Its output, at most 4096 bytes.
    pub output: String,
}

/// A resolved mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// What kind.
    pub kind: MountPointKind,
    /// The volume's name; empty for others.
    pub name: String,
    /// The path on the host; for an image its id; empty for tmpfs.
    pub source: String,
    /// The place in the container, clean and absolute.
    pub target: String,
    /// The volume's driver; empty for others.
    pub driver: String,
    /// The mode as typed.
    pub mode: String,
    /// Whether and how deep it is read-only.
    pub read_only: ReadOnly,
    /// Propagation asked for; `None` is rprivate.
    pub propagation: Option<Propagation>,
    /// `rbind` or `bind`.
    pub non_recursive: bool,
    /// A folder inside the volume or image.
    pub subpath: String,
    /// Mount options of a tmpfs.
    pub options: String,
    /// The volume was made by this container and goes with `rm -v` and `--rm`.
    pub anonymous: bool,
}

/// The kinds of resolved mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountPointKind {
    /// A host path.
    Bind,
    /// A volume.
    Volume,
    /// Memory.
    Tmpfs,
    /// An image's root.
    Image,
}

impl MountPointKind {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            MountPointKind::Bind => "bind",
            MountPointKind::Volume => "volume",
            MountPointKind::Tmpfs => "tmpfs",
            MountPointKind::Image => "image",
        }
    }
}

/// A container's place in the networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkRecord {
    /// The network namespace's path while there is one of its own.
    pub sandbox: Option<String>,
    /// By the network's name.
    pub endpoints: BTreeMap<String, EndpointRecord>,
    /// What is published, as bound.
    pub ports: BTreeMap<PortSpec, Vec<HostBinding>>,
}

/// One attachment as it is. While the container is stopped, addresses are empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// Which network.
    pub network: NetworkId,
    /// `None` while the container does not run.
    pub endpoint: Option<EndpointId>,
    /// The address.
    pub ipv4: Option<IpAddr>,
    /// Its prefix length.
    pub ipv4_prefix: u8,
    /// The gateway.
    pub gateway: Option<IpAddr>,
    /// The address.
    pub ipv6: Option<IpAddr>,
    /// Its prefix length.
    pub ipv6_prefix: u8,
    /// The gateway.
    pub ipv6_gateway: Option<IpAddr>,
    /// The hardware address.
    pub mac_address: String,
    /// The names that resolve to it on this network.
    pub dns_names: Vec<String>,
}
