//! What a container may use.

use gantry_compose_file::project::{DeviceRequest, Service, Throttle};
use serde_json::{Value, json};

/// Adds limits, shares and devices to a `HostConfig`.
pub(super) fn add(s: &Service, body: &mut Value) {
    let mut set = |key: &str, value: Value| body[key] = value;
    let nano = |cpus: f32| (f64::from(cpus) * 1e9).round() as i64;
    set("CgroupParent", json!(s.cgroup_parent));
    set("Memory", json!(s.mem_limit.0));
    set("MemorySwap", json!(s.memswap_limit.0));
    if s.mem_swappiness.0 != 0 {
        set("MemorySwappiness", json!(s.mem_swappiness.0));
    }
    set("MemoryReservation", json!(s.mem_reservation.0));
    set("OomKillDisable", json!(s.oom_kill_disable));
    set("CpuCount", json!(s.cpu_count));
    set("CpuPeriod", json!(s.cpu_period));
    set("CpuQuota", json!(s.cpu_quota));
    set("CpuRealtimePeriod", json!(s.cpu_rt_period));
    set("CpuRealtimeRuntime", json!(s.cpu_rt_runtime));
    set("CpuShares", json!(s.cpu_shares));
    set("NanoCpus", json!(nano(s.cpus)));
    set("CpuPercent", json!((s.cpu_percent * 100.0) as i64));
    set("CpusetCpus", json!(s.cpuset));
    set("DeviceCgroupRules", json!(s.device_cgroup_rules));
    if s.pids_limit != 0 {
        set("PidsLimit", json!(s.pids_limit));
    }
    let limits: Vec<Value> = s
        .ulimits
        .iter()
        .map(|(name, limit)| json!({"Name": name, "Soft": limit.soft(), "Hard": limit.hard()}))
        .collect();
    set("Ulimits", json!(limits));
    if let Some(blkio) = &s.blkio_config {
        let rates = |all: &[Throttle]| -> Value {
            json!(all.iter().map(|t| json!({"Path": t.path, "Rate": t.rate.0})).collect::<Vec<_>>())
        };
        let weights: Vec<Value> =
            blkio.weight_device.iter().map(|w| json!({"Path": w.path, "Weight": w.weight})).collect();
        set("BlkioWeight", json!(blkio.weight));
        set("BlkioWeightDevice", json!(weights));
        set("BlkioDeviceReadBps", rates(&blkio.device_read_bps));
        set("BlkioDeviceReadIOps", rates(&blkio.device_read_iops));
        set("BlkioDeviceWriteBps", rates(&blkio.device_write_bps));
        set("BlkioDeviceWriteIOps", rates(&blkio.device_write_iops));
    }
    let resources = s.deploy.as_ref().map(|d| &d.resources);
    if let Some(limits) = resources.and_then(|r| r.limits.as_ref()) {
        if limits.memory.0 != 0 {
            set("Memory", json!(limits.memory.0));
        }
        if limits.cpus != 0.0 {
            set("NanoCpus", json!(nano(limits.cpus)));
        }
        if limits.pids > 0 {
            set("PidsLimit", json!(limits.pids));
        }
    }
    let mut requests: Vec<Value> = Vec::new();
    if let Some(reserved) = resources.and_then(|r| r.reservations.as_ref()) {
        if reserved.memory.0 != 0 {
            set("MemoryReservation", json!(reserved.memory.0));
        }
        requests.extend(reserved.devices.iter().map(|d| request(d, None)));
    }
    let mut devices = Vec::new();
    for device in &s.devices {
        if device.source == device.target && is_cdi(&device.source) {
            requests.push(json!({"Driver": "cdi", "DeviceIDs": [device.source]}));
        } else {
            let permissions = if device.permissions.is_empty() { "rwm" } else { &device.permissions };
            devices.push(json!({
                "PathOnHost": device.source, "PathInContainer": device.target, "CgroupPermissions": permissions,
            }));
        }
    }
    requests.extend(s.gpus.iter().map(|d| request(d, Some("gpu"))));
    set("Devices", json!(devices));
    if !requests.is_empty() {
        set("DeviceRequests", json!(requests));
    }
}

fn request(device: &DeviceRequest, also: Option<&str>) -> Value {
    let mut capabilities: Vec<&str> = device.capabilities.iter().map(String::as_str).collect();
    capabilities.extend(also.filter(|a| !device.capabilities.iter().any(|c| c == a)));
    json!({
        "Driver": device.driver,
        "Count": device.count,
        "DeviceIDs": device.device_ids,
        "Capabilities": [capabilities],
        "Options": device.options,
    })
}

/// `vendor.com/class=name`
fn is_cdi(name: &str) -> bool {
    !name.starts_with('/')
        && name.split_once('=').is_some_and(|(kind, id)| kind.contains('/') && !id.is_empty())
}
