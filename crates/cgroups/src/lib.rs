//! Control groups, version 1 and 2 behind one face.
//!
//! What this is: which hierarchies the host has ([`Host`]), a container's folder in each of them ([`Cgroup`]),
//! its limits, its processes, its freezer and its books.
//! What it is not: systemd. A `slice:prefix:name` path is mapped to a plain folder and no unit is made.
//! Start reading at [`Host::detect`], then [`Cgroup::locate`] and [`Cgroup::create`].
//!
//! What was asked and cannot be done is an error, or a sentence among the warnings where the container is as
//! safe without it; it is never passed over.

mod devices;
mod error;
mod files;
mod freeze;
mod group;
mod host;
mod kill;
mod limits_v1;
mod limits_v2;
mod oom;
mod path;
pub mod spec;
mod stats;

pub use devices::for_container as device_rules_for_container;
pub use error::Error;
pub use group::{Cgroup, Saved};
pub use host::{Hierarchy, Host};
pub use stats::{BlockIoStats, CpuStats, HugetlbStats, MemoryStats, PidsStats, Stats};

/// The result of every operation here.
pub type Result<T> = std::result::Result<T, Error>;
