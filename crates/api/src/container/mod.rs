//! Containers: what is asked of one, and what is told of it.

mod config;
mod create;
mod host_config;
mod inspect;
mod list;
mod stats;

pub use config::{Config, Healthcheck};
pub use create::{ContainerCreate, ContainerCreated, ContainerUpdate, ContainerUpdated};
pub use host_config::{
    DeviceMapping, DeviceRequest, HostConfig, LogConfig, PortBinding, PortMap, RestartPolicy, ThrottleDevice,
    Ulimit, WeightDevice,
};
pub use inspect::{ContainerInspect, Health, HealthResult, NetworkSettings, State};
pub use list::{ContainerSummary, MountPoint, NetworkSettingsSummary, Port, SummaryHostConfig};
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, StorageStats,
    Throttling,
};

use crate::is_zero;
use serde::{Deserialize, Serialize};

/// `POST /containers/{id}/wait`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerWaited {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<WaitError>,
    pub status_code: i64,
}

/// Why waiting failed after it had begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WaitError {
    #[serde(skip_serializing_if = "is_zero")]
    pub message: String,
}

/// `GET /containers/{id}/top`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerTop {
    pub processes: Option<Vec<Vec<String>>>,
    pub titles: Option<Vec<String>>,
}

/// One entry of `GET /containers/{id}/changes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Change {
    /// 0 modified, 1 added, 2 deleted.
    pub kind: u8,
    pub path: String,
}

/// `POST /containers/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainersPruned {
    pub containers_deleted: Option<Vec<String>>,
    pub space_reclaimed: u64,
}

/// A file in a container: base64 JSON of the `X-Docker-Container-Path-Stat` header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathStat {
    pub name: String,
    pub size: i64,
    /// Go's `os.FileMode`: permission bits low, kind bits from the top (bit 31 directory, 27 link, ...).
    pub mode: u32,
    pub mtime: String,
    pub link_target: String,
}
