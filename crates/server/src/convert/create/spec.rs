//! Wire types to a spec, field by field. Wire structs are taken apart so that a new field breaks the build here.

use super::binds::{bind, clean, volumes_from};
use super::mounts;
use crate::failure::Failure;
use gantry_api::container::{Config, HostConfig, PortBinding, PortMap};
use gantry_api::network::{EndpointIpam, EndpointSettings, NetworkingConfig};
use gantry_engine::spec::{
    CgroupnsMode, ContainerSpec, DeviceMapping, DeviceRequest, EndpointSpec, Healthcheck, HostBinding,
    IpcMode, LogConfig, NetworkMode, PidMode, PortSpec, Resources, RestartPolicy, ThrottleDevice, Ulimit,
    UsernsMode, UtsMode, WeightDevice,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The whole spec.
pub(super) fn spec(
    config: Config,
    host: HostConfig,
    networking: NetworkingConfig,
) -> Result<ContainerSpec, Failure> {
    let mut spec = run_config(config)?;
    spec.empty_lists = empty_lists(&host);
    spec.resources = resources(&host);
    spec.port_bindings = port_bindings(host.port_bindings.unwrap_or_default())?;
    for raw in host.binds.unwrap_or_default() {
        match bind(&raw)? {
            Ok(request) => spec.binds.push(request),
            Err(place) => drop(spec.volumes.insert(place)),
        }
    }
    spec.mounts = host.mounts.into_iter().map(mounts::mount).collect::<Result<_, _>>()?;
    for (place, options) in host.tmpfs {
        if !place.starts_with('/') {
            return Err(Failure::invalid(format!(
                "invalid mount path: '{place}' mount path must be absolute"
            )));
        }
        spec.tmpfs.insert(clean(&place), options);
    }
    for from in host.volumes_from.unwrap_or_default() {
        spec.volumes_from.push(volumes_from(&from)?);
    }
    spec.volume_driver = host.volume_driver;
    spec.read_only_rootfs = host.readonly_rootfs;
    spec.shm_size = match host.shm_size {
        size if size < 0 => return Err(Failure::invalid("SHM size can not be less than 0")),
        size => size,
    };
    spec.storage_opts = host.storage_opt;
    spec.oom_score_adj = oom_score_adj(host.oom_score_adj)?;
    spec.cap_add = host.cap_add.unwrap_or_default();
    spec.cap_drop = host.cap_drop.unwrap_or_default();
    spec.privileged = host.privileged;
    spec.security_opts = host.security_opt.unwrap_or_default();
    spec.masked_paths = host.masked_paths;
    spec.readonly_paths = host.readonly_paths;
    spec.group_add = host.group_add.unwrap_or_default();
    spec.sysctls = host.sysctls;
    spec.annotations = host.annotations;

    spec.network_mode = NetworkMode::parse(&host.network_mode);
    spec.ipc_mode = known(IpcMode::parse(&host.ipc_mode), "IPC", &host.ipc_mode)?;
    spec.pid_mode = known(PidMode::parse(&host.pid_mode), "PID", &host.pid_mode)?;
    spec.uts_mode = known(UtsMode::parse(&host.uts_mode), "UTS", &host.uts_mode)?;
    spec.userns_mode = known(UsernsMode::parse(&host.userns_mode), "user namespace", &host.userns_mode)?;
    let cgroupns = CgroupnsMode::parse(&host.cgroupns_mode);
    spec.cgroupns_mode = known(cgroupns, "cgroup namespace", &host.cgroupns_mode)?;
    spec.cgroup_parent = host.cgroup_parent;

    for (network, endpoint) in networking.endpoints_config.unwrap_or_default() {
        spec.endpoints.insert(network, self::endpoint(endpoint.unwrap_or_default())?);
    }
    spec.publish_all_ports = host.publish_all_ports;
    spec.dns = host.dns.unwrap_or_default();
    spec.dns_options = host.dns_options.unwrap_or_default();
    spec.dns_search = host.dns_search.unwrap_or_default();
    spec.extra_hosts = host.extra_hosts.unwrap_or_default();
    spec.links = host.links.unwrap_or_default();

    spec.init = host.init;
    spec.runtime = host.runtime;
    spec.log =
        LogConfig { driver: host.log_config.r#type, options: host.log_config.config.unwrap_or_default() };
    spec.restart = restart(&host.restart_policy)?;
    spec.auto_remove = host.auto_remove;
    spec.container_id_file = host.container_id_file;
    spec.console_size = host.console_size;
    spec.isolation = host.isolation;
    Ok(spec)
}

/// The part that an image can also say; `commit` takes it alone.
pub(crate) fn run_config(config: Config) -> Result<ContainerSpec, Failure> {
    let Config {
        hostname,
        domainname,
        user,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        exposed_ports,
        tty,
        open_stdin,
        stdin_once,
        env,
        cmd,
        healthcheck,
        args_escaped: _,
        image,
        volumes,
        working_dir,
        entrypoint,
        network_disabled,
        mac_address,
        on_build,
        labels,
        stop_signal,
        stop_timeout,
        shell,
    } = config;
    let port_words = port_words(exposed_ports.keys());
    Ok(ContainerSpec {
        port_words,
        image,
        // An empty list in JSON is "not given": Go cannot tell either.
        command: cmd.filter(|cmd| !cmd.is_empty()),
        entrypoint,
        env: env.unwrap_or_default(),
        user,
        working_dir: if working_dir.is_empty() { working_dir } else { clean(&working_dir) },
        hostname,
        domainname,
        tty,
        open_stdin,
        stdin_once,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        labels: labels.unwrap_or_default(),
        healthcheck: healthcheck.map(|h| Healthcheck {
            test: h.test,
            interval_ns: h.interval,
            timeout_ns: h.timeout,
            start_period_ns: h.start_period,
            start_interval_ns: h.start_interval,
            retries: h.retries,
        }),
        stop_signal,
        stop_timeout,
        shell,
        exposed_ports: exposed_ports.into_keys().map(|p| port(&p)).collect::<Result<BTreeSet<_>, _>>()?,
        volumes: volumes.unwrap_or_default().into_keys().map(|place| clean(&place)).collect(),
        network_disabled,
        mac_address,
        on_build: on_build.unwrap_or_default(),
        ..Default::default()
    })
}

/// Limits; also what `update` takes.
pub(crate) fn resources(host: &HostConfig) -> Resources {
    let throttle = |list: &Option<Vec<gantry_api::container::ThrottleDevice>>| {
        let devices = list.iter().flatten();
        devices.map(|d| ThrottleDevice { path: d.path.clone(), rate: d.rate }).collect::<Vec<_>>()
    };
    let weight =
        |d: &gantry_api::container::WeightDevice| WeightDevice { path: d.path.clone(), weight: d.weight };
    let device = |d: &gantry_api::container::DeviceMapping| DeviceMapping {
        host: d.path_on_host.clone(),
        container: d.path_in_container.clone(),
        permissions: d.cgroup_permissions.clone(),
    };
    let request = |r: &gantry_api::container::DeviceRequest| DeviceRequest {
        driver: r.driver.clone(),
        count: r.count,
        device_ids: r.device_ids.clone().unwrap_or_default(),
        capabilities: r.capabilities.clone().unwrap_or_default(),
        options: r.options.clone().unwrap_or_default(),
    };
    let ulimit =
        |u: &gantry_api::container::Ulimit| Ulimit { name: u.name.clone(), soft: u.soft, hard: u.hard };
    Resources {
        memory: host.memory,
        memory_reservation: host.memory_reservation,
        memory_swap: host.memory_swap,
        memory_swappiness: host.memory_swappiness.filter(|s| *s != -1),
        kernel_memory: host.kernel_memory,
        kernel_memory_tcp: host.kernel_memory_tcp,
        cpu_shares: host.cpu_shares,
        nano_cpus: host.nano_cpus,
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_realtime_period: host.cpu_realtime_period,
        cpu_realtime_runtime: host.cpu_realtime_runtime,
        cpuset_cpus: host.cpuset_cpus.clone(),
        cpuset_mems: host.cpuset_mems.clone(),
        pids_limit: host.pids_limit,
        blkio_weight: host.blkio_weight,
        blkio_weight_device: host.blkio_weight_device.iter().flatten().map(weight).collect(),
        blkio_read_bps: throttle(&host.blkio_device_read_bps),
        blkio_write_bps: throttle(&host.blkio_device_write_bps),
        blkio_read_iops: throttle(&host.blkio_device_read_iops),
        blkio_write_iops: throttle(&host.blkio_device_write_iops),
        devices: host.devices.iter().flatten().map(device).collect(),
        device_cgroup_rules: host.device_cgroup_rules.clone().unwrap_or_default(),
        device_requests: host.device_requests.iter().flatten().map(request).collect(),
        oom_kill_disable: host.oom_kill_disable,
        ulimits: host.ulimits.iter().flatten().map(ulimit).collect(),
    }
}

/// A restart policy's words.
pub(crate) fn restart(policy: &gantry_api::container::RestartPolicy) -> Result<RestartPolicy, Failure> {
    RestartPolicy::parse(&policy.name, policy.maximum_retry_count)
        .map_err(|e| Failure::invalid(e.to_string()))
}

/// How a container joins a network.
pub(crate) fn endpoint(settings: EndpointSettings) -> Result<EndpointSpec, Failure> {
    let ipam = settings.ipam_config.unwrap_or_default();
    let EndpointIpam { ipv4_address, ipv6_address, link_local_ips } = ipam;
    Ok(EndpointSpec {
        aliases: settings.aliases.unwrap_or_default(),
        links: settings.links.unwrap_or_default(),
        ipv4: address(&ipv4_address, "IPv4", IpAddr::is_ipv4)?,
        ipv6: address(&ipv6_address, "IPv6", IpAddr::is_ipv6)?,
        link_local_ips: link_local_ips
            .iter()
            .filter_map(|text| address(text, "link-local IP", |_| true).transpose())
            .collect::<Result<_, _>>()?,
        mac_address: settings.mac_address,
        driver_opts: settings.driver_opts.unwrap_or_default(),
        gw_priority: settings.gw_priority,
    })
}

fn address(text: &str, kind: &str, fits: fn(&IpAddr) -> bool) -> Result<Option<IpAddr>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<IpAddr>() {
        Ok(ip) if fits(&ip) && !ip.is_unspecified() => Ok(Some(ip)),
        _ => Err(Failure::invalid(format!("invalid {kind} address: {text}"))),
    }
}

/// `80/tcp`.
fn port(text: &str) -> Result<PortSpec, Failure> {
    text.parse().map_err(|_| {
        let number = text.split_once('/').map_or(text, |(number, _)| number);
        Failure::invalid(format!("invalid port specification: {number:?}"))
    })
}

/// The lists that were given, and empty.
fn empty_lists(host: &HostConfig) -> BTreeSet<String> {
    let written = serde_json::to_value(host).unwrap_or_default();
    let fields = written.as_object().into_iter().flatten();
    fields
        .filter(|(_, value)| value.as_array().is_some_and(Vec::is_empty))
        .map(|(key, _)| key.clone())
        .collect()
}

/// The ones that are not written as we would.
fn port_words<'a>(written: impl Iterator<Item = &'a String>) -> BTreeMap<PortSpec, String> {
    let read = written.filter_map(|word| Some((word.parse::<PortSpec>().ok()?, word)));
    read.filter(|(port, word)| port.to_string() != **word).map(|(port, word)| (port, word.clone())).collect()
}

fn port_bindings(map: PortMap) -> Result<BTreeMap<PortSpec, Vec<HostBinding>>, Failure> {
    map.into_iter()
        .map(|(text, bindings)| {
            let bindings = bindings.unwrap_or_default().iter().map(host_binding).collect::<Result<_, _>>()?;
            Ok((port(&text)?, bindings))
        })
        .collect()
}

fn host_binding(binding: &PortBinding) -> Result<HostBinding, Failure> {
    let bad = || Failure::invalid(format!("invalid port specification: {:?}", binding.host_port));
    let number = |text: &str| text.parse::<u16>().map_err(|_| bad());
    let ports = match binding.host_port.trim() {
        "" | "0" => None,
        text => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (number(first)?, number(last)?);
            if first == 0 || last < first {
                return Err(bad());
            }
            Some((first, last))
        }
    };
    let ip = match binding.host_ip.trim_matches(['[', ']']) {
        "" => None,
        text => Some(
            text.parse().map_err(|_| Failure::invalid(format!("invalid IP address: {}", binding.host_ip)))?,
        ),
    };
    Ok(HostBinding { ip, ports })
}

fn oom_score_adj(score: i64) -> Result<i32, Failure> {
    i32::try_from(score).ok().filter(|score| (-1000..=1000).contains(score)).ok_or_else(|| {
        Failure::invalid(format!("Invalid value {score}, range for oom score adj is [-1000, 1000]"))
    })
}

fn known<T>(mode: Option<T>, kind: &str, text: &str) -> Result<T, Failure> {
    mode.ok_or_else(|| Failure::invalid(format!("invalid {kind} mode: {text}")))
}
