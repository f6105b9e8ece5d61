//! A spec's host part as inspect prints it.
//!
//! A list that a client left out comes back as `null`, one that it sent empty as `[]`. Programs compare these.

use gantry_api::container::{
    DeviceMapping, DeviceRequest, HostConfig, LogConfig, PortBinding, PortMap, RestartPolicy, ThrottleDevice,
    Ulimit, WeightDevice,
};
use gantry_api::mount::{BindOptions, ImageOptions, Mount, TmpfsOptions, VolumeDriver, VolumeOptions};
use gantry_engine::spec::{
    self, BindRequest, BindSource, ContainerSpec, HostBinding, MountKind, MountRequest, PortSpec, ReadOnly,
};
use std::collections::{BTreeMap, BTreeSet};

/// `null` for an empty list.
fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    Some(list.to_vec()).filter(|list| !list.is_empty())
}

/// Empty lists are `[]` where they were given so, and `null` where they were left out.
struct Shown<'a>(&'a BTreeSet<String>);

impl Shown<'_> {
    fn list<T>(&self, key: &str, list: Vec<T>) -> Option<Vec<T>> {
        (!list.is_empty() || self.0.contains(key)).then_some(list)
    }

    fn each<A, B>(&self, key: &str, list: &[A], convert: impl Fn(&A) -> B) -> Option<Vec<B>> {
        self.list(key, list.iter().map(convert).collect())
    }
}

/// `HostConfig`.
pub(crate) fn host_config(spec: &ContainerSpec) -> HostConfig {
    let r = &spec.resources;
    let shown = Shown(&spec.empty_lists);
    HostConfig {
        binds: shown.list("Binds", spec.binds.iter().map(bind).collect::<Vec<_>>()),
        container_id_file: spec.container_id_file.clone(),
        log_config: LogConfig { r#type: spec.log.driver.clone(), config: Some(spec.log.options.clone()) },
        network_mode: spec.network_mode.to_string(),
        port_bindings: Some(port_map(&spec.port_bindings)),
        restart_policy: RestartPolicy {
            name: spec.restart.name().into(),
            maximum_retry_count: match spec.restart {
                spec::RestartPolicy::OnFailure(max) => max.into(),
                _ => 0,
            },
        },
        auto_remove: spec.auto_remove,
        volume_driver: spec.volume_driver.clone(),
        volumes_from: shown
            .list("VolumesFrom", spec.volumes_from.iter().map(volumes_from).collect::<Vec<_>>()),
        console_size: spec.console_size,
        annotations: spec.annotations.clone(),
        cap_add: shown.list("CapAdd", spec.cap_add.clone()),
        cap_drop: shown.list("CapDrop", spec.cap_drop.clone()),
        cgroupns_mode: spec.cgroupns_mode.to_string(),
        dns: shown.list("Dns", spec.dns.clone()),
        dns_options: shown.list("DnsOptions", spec.dns_options.clone()),
        dns_search: shown.list("DnsSearch", spec.dns_search.clone()),
        extra_hosts: shown.list("ExtraHosts", spec.extra_hosts.clone()),
        group_add: shown.list("GroupAdd", spec.group_add.clone()),
        ipc_mode: spec.ipc_mode.to_string(),
        cgroup: String::new(),
        links: shown.list("Links", spec.links.clone()),
        oom_score_adj: spec.oom_score_adj.into(),
        pid_mode: spec.pid_mode.to_string(),
        privileged: spec.privileged,
        publish_all_ports: spec.publish_all_ports,
        readonly_rootfs: spec.read_only_rootfs,
        security_opt: shown.list("SecurityOpt", spec.security_opts.clone()),
        storage_opt: spec.storage_opts.clone(),
        tmpfs: spec.tmpfs.clone(),
        uts_mode: spec.uts_mode.to_string(),
        userns_mode: spec.userns_mode.to_string(),
        shm_size: spec.shm_size,
        sysctls: spec.sysctls.clone(),
        runtime: spec.runtime.clone(),
        isolation: spec.isolation.clone(),

        cpu_shares: r.cpu_shares,
        memory: r.memory,
        nano_cpus: r.nano_cpus,
        cgroup_parent: spec.cgroup_parent.clone(),
        blkio_weight: r.blkio_weight,
        blkio_weight_device: shown.each("BlkioWeightDevice", &r.blkio_weight_device, |d| WeightDevice {
            path: d.path.clone(),
            weight: d.weight,
        }),
        blkio_device_read_bps: shown.each("BlkioDeviceReadBps", &r.blkio_read_bps, throttle),
        blkio_device_write_bps: shown.each("BlkioDeviceWriteBps", &r.blkio_write_bps, throttle),
        blkio_device_read_iops: shown.each("BlkioDeviceReadIOps", &r.blkio_read_iops, throttle),
        blkio_device_write_iops: shown.each("BlkioDeviceWriteIOps", &r.blkio_write_iops, throttle),
        cpu_period: r.cpu_period,
        cpu_quota: r.cpu_quota,
        cpu_realtime_period: r.cpu_realtime_period,
        cpu_realtime_runtime: r.cpu_realtime_runtime,
        cpuset_cpus: r.cpuset_cpus.clone(),
        cpuset_mems: r.cpuset_mems.clone(),
        devices: shown.each("Devices", &r.devices, |d| DeviceMapping {
            path_on_host: d.host.clone(),
            path_in_container: d.container.clone(),
            cgroup_permissions: d.permissions.clone(),
        }),
        device_cgroup_rules: shown.list("DeviceCgroupRules", r.device_cgroup_rules.clone()),
        device_requests: shown.each("DeviceRequests", &r.device_requests, device_request),
        kernel_memory: r.kernel_memory,
        kernel_memory_tcp: r.kernel_memory_tcp,
        memory_reservation: r.memory_reservation,
        memory_swap: r.memory_swap,
        memory_swappiness: r.memory_swappiness,
        oom_kill_disable: r.oom_kill_disable,
        pids_limit: r.pids_limit,
        ulimits: shown.each("Ulimits", &r.ulimits, |u| Ulimit {
            name: u.name.clone(),
            hard: u.hard,
            soft: u.soft,
        }),
        cpu_count: 0,
        cpu_percent: 0,
        io_maximum_iops: 0,
        io_maximum_bandwidth: 0,

        mounts: spec.mounts.iter().map(mount).collect(),
        masked_paths: spec.masked_paths.clone(),
        readonly_paths: spec.readonly_paths.clone(),
        init: spec.init,
    }
}

fn throttle(device: &spec::ThrottleDevice) -> ThrottleDevice {
    ThrottleDevice { path: device.path.clone(), rate: device.rate }
}

fn device_request(request: &spec::DeviceRequest) -> DeviceRequest {
    DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: some(&request.device_ids),
        capabilities: Some(request.capabilities.clone()),
        options: Some(request.options.clone()),
    }
}

/// `source:target[:mode]`, as it was typed.
fn bind(bind: &BindRequest) -> String {
    let (BindSource::Path(source) | BindSource::Volume(source)) = &bind.source;
    match bind.mode.as_str() {
        "" => format!("{source}:{}", bind.target),
        mode => format!("{source}:{}:{mode}", bind.target),
    }
}

fn volumes_from(from: &spec::VolumesFrom) -> String {
    match from.mode.as_str() {
        "" => from.container.clone(),
        mode => format!("{}:{mode}", from.container),
    }
}

/// Published ports, as asked or as bound.
pub(crate) fn port_map(ports: &BTreeMap<PortSpec, Vec<HostBinding>>) -> PortMap {
    ports
        .iter()
        .map(|(port, bindings)| (port.to_string(), Some(bindings.iter().map(binding).collect())))
        .collect()
}

fn binding(binding: &HostBinding) -> PortBinding {
    PortBinding {
        host_ip: binding.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        host_port: match binding.ports {
            None => String::new(),
            Some((first, last)) if first == last => first.to_string(),
            Some((first, last)) => format!("{first}-{last}"),
        },
    }
}

fn mount(request: &MountRequest) -> Mount {
    let mut mount = Mount {
        source: request.source.clone(),
        target: request.target.clone(),
        read_only: request.read_only,
        consistency: request.consistency.clone(),
        ..Default::default()
    };
    match &request.kind {
        MountKind::Bind(o) => {
            mount.r#type = "bind".into();
            let options = BindOptions {
                propagation: o.propagation.map(|p| p.as_str().into()).unwrap_or_default(),
                non_recursive: o.non_recursive,
                create_mountpoint: o.create_source,
                read_only_non_recursive: o.read_only == ReadOnly::NonRecursive,
                read_only_force_recursive: o.read_only == ReadOnly::ForceRecursive,
            };
            mount.bind_options = Some(options).filter(|o| *o != BindOptions::default());
        }
        MountKind::Volume(o) => {
            mount.r#type = "volume".into();
            let driver = VolumeDriver { name: o.driver.clone(), options: o.driver_opts.clone() };
            let options = VolumeOptions {
                no_copy: o.nocopy,
                labels: o.labels.clone(),
                subpath: o.subpath.clone(),
                driver_config: Some(driver).filter(|d| *d != VolumeDriver::default()),
            };
            mount.volume_options = Some(options).filter(|o| *o != VolumeOptions::default());
        }
        MountKind::Tmpfs(o) => {
            mount.r#type = "tmpfs".into();
            let options = TmpfsOptions { size_bytes: o.size_bytes, mode: o.mode, options: o.options.clone() };
            mount.tmpfs_options = Some(options).filter(|o| *o != TmpfsOptions::default());
        }
        MountKind::Image(o) => {
            mount.r#type = "image".into();
            let options = ImageOptions { subpath: o.subpath.clone() };
            mount.image_options = Some(options).filter(|o| *o != ImageOptions::default());
        }
    }
    mount
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_api::version::NEWEST;
    use serde_json::json;

    #[test]
    fn what_was_asked_comes_back() {
        let host = json!({
            "Binds": ["/tmp:/mnt:ro,Z", "vol:/vol"],
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "VolumesFrom": ["data:ro", "other"],
            "Mounts": [
                {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true,
                 "BindOptions": {"Propagation": "rslave", "ReadOnlyForceRecursive": true}},
                {"Type": "volume", "Source": "v", "Target": "/v",
                 "VolumeOptions": {"NoCopy": true, "DriverConfig": {"Name": "local", "Options": {"o": "x"}}}},
                {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 10, "Mode": 448}},
                {"Type": "image", "Source": "busybox", "Target": "/i", "ImageOptions": {"Subpath": "bin"}},
            ],
            "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rw"}],
            "BlkioDeviceReadIOps": [{"Path": "/dev/x", "Rate": 7}],
            "Dns": [], "Memory": 9, "CpuShares": 3, "NanoCpus": 5, "IpcMode": "host", "PidMode": "container:x",
            "UTSMode": "host", "CgroupnsMode": "private", "ShmSize": 1, "Tmpfs": {"/x": "size=1"},
            "Sysctls": {"net.core.somaxconn": "1"}, "Init": true, "OomScoreAdj": -5,
        });
        let asked = crate::convert::create::asked(json!({"Image": "a", "HostConfig": host}), NEWEST, None);
        let back = serde_json::to_value(host_config(&asked.unwrap().spec)).unwrap();
        for (key, value) in host.as_object().unwrap() {
            assert_eq!(&back[key], value, "{key}");
        }
        assert_eq!(back["NetworkMode"], "bridge");
        assert!(back["CapAdd"].is_null() && back["DnsSearch"].is_null());
    }
}
