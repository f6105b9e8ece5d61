//! Control groups, version 1 and 2 behind one face.
pub mod spec;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// A control group that could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    Invalid(String),
}

impl gantry_errdefs::Classified for Error {
    fn class(&self) -> gantry_errdefs::Class {
        match self {
            Error::Io { source, .. } => source.class(),
            Error::Unsupported(_) => gantry_errdefs::Class::NotImplemented,
            Error::Invalid(_) => gantry_errdefs::Class::InvalidArgument,
        }
    }
}

/// A container's control group in every hierarchy of the host.
#[derive(Debug)]
pub struct Cgroup {}

/// A [`Cgroup`] on disk: the folder by hierarchy; version 2's is under the empty name.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Saved {
    pub folders: BTreeMap<String, PathBuf>,
}

/// What a control group has counted. Times in nanoseconds, sizes in bytes; what the host does not count is absent.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    pub cpu: CpuStats,
    pub memory: MemoryStats,
    pub pids: PidsStats,
    pub block_io: Vec<BlockIoStats>,
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CpuStats {
    pub usage_ns: u64,
    pub user_ns: u64,
    pub system_ns: u64,
    /// By processor; version 1 only.
    pub per_cpu_ns: Vec<u64>,
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_ns: u64,
}

#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MemoryStats {
    pub usage: u64,
    pub max_usage: Option<u64>,
    /// `None`: no limit.
    pub limit: Option<u64>,
    pub failures: u64,
    pub swap_usage: Option<u64>,
    pub swap_limit: Option<u64>,
    pub kernel_usage: Option<u64>,
    /// How often the kernel has killed in here for want of memory.
    pub oom_kills: Option<u64>,
    /// `memory.stat` as the kernel names it.
    pub stat: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PidsStats {
    pub current: u64,
    /// `None`: no limit.
    pub limit: Option<u64>,
}

/// One line of the block layer's books.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BlockIoStats {
    pub major: u64,
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`.
    pub op: String,
    pub bytes: u64,
    pub operations: u64,
}

#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HugetlbStats {
    pub usage: u64,
    pub max_usage: u64,
    pub failures: u64,
}
