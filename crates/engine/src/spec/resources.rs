//! Limits and devices as they were asked for. Zero means "no limit asked", as on Docker's wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Docker's resource fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes.
    pub memory: i64,
    /// Soft limit in bytes.
    pub memory_reservation: i64,
    /// Memory and swap together in bytes; -1 unlimited; 0 is twice the memory.
    pub memory_swap: i64,
    /// 0 to 100.
    pub memory_swappiness: Option<i64>,
    /// Kernel memory in bytes; kept for `inspect`.
    pub kernel_memory: i64,
    /// Kernel TCP memory in bytes.
    pub kernel_memory_tcp: i64,
    /// Relative weight.
    pub cpu_shares: i64,
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// Microseconds.
    pub cpu_period: i64,
    /// Microseconds.
    pub cpu_quota: i64,
    /// Microseconds.
    pub cpu_realtime_period: i64,
    /// Microseconds.
    pub cpu_realtime_runtime: i64,
    /// `0-3,7`.
    pub cpuset_cpus: String,
    /// `0,1`.
    pub cpuset_mems: String,
    /// `None` and 0 and negative: no limit.
    pub pids_limit: Option<i64>,
    /// 10 to 1000.
    pub blkio_weight: u16,
    /// Per device.
    pub blkio_weight_device: Vec<WeightDevice>,
    /// Bytes per second.
    pub blkio_read_bps: Vec<ThrottleDevice>,
    /// Bytes per second.
    pub blkio_write_bps: Vec<ThrottleDevice>,
    /// Operations per second.
    pub blkio_read_iops: Vec<ThrottleDevice>,
    /// Operations per second.
    pub blkio_write_iops: Vec<ThrottleDevice>,
    /// `--device`.
    pub devices: Vec<DeviceMapping>,
    /// `c 42:* rmw`.
    pub device_cgroup_rules: Vec<String>,
    /// `--gpus` and CDI.
    pub device_requests: Vec<DeviceRequest>,
    /// Do not kill at the memory limit.
    pub oom_kill_disable: Option<bool>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
}

/// A device's weight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightDevice {
    /// Path on the host.
    pub path: String,
    /// 10 to 1000.
    pub weight: u16,
}

/// A device's rate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleDevice {
    /// Path on the host.
    pub path: String,
    /// Per second.
    pub rate: u64,
}

/// `--device host:container:rwm`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMapping {
    /// Path on the host; a folder stands for every device in it.
    pub host: String,
    /// Path in the container; empty is the host's.
    pub container: String,
    /// Any of `r`, `w`, `m`; empty is all.
    pub permissions: String,
}

/// A request to a device driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRequest {
    /// Driver's name.
    pub driver: String,
    /// How many; -1 all.
    pub count: i64,
    /// Or which.
    pub device_ids: Vec<String>,
    /// Or what they can do: any of the lists, all of a list.
    pub capabilities: Vec<Vec<String>>,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
}

/// `--ulimit name=soft:hard`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// `nofile`.
    pub name: String,
    /// -1 unlimited.
    pub soft: i64,
    /// -1 unlimited.
    pub hard: i64,
}
