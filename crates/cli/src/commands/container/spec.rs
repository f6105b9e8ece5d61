//! From the flags of `run` and `create` to the body of a create request.

use serde_json::{Map, Value, json};

use crate::flags::Matches;
use crate::parse::{devices, env, gpus, hosts, mounts, network, ports, security, ulimits, volumes};

/// A container as the API wants it, and what the client itself needs to know of it.
pub struct Spec {
    /// The body of `POST /containers/create`.
    pub body: Value,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether standard input is open and attached.
    pub stdin: bool,
    /// Whether its output is attached.
    pub stdout: bool,
    /// Whether its errors are attached.
    pub stderr: bool,
    /// Whether the engine removes it at its end.
    pub auto_remove: bool,
}

/// Reads the flags; `proxies` are environment variables that the person configured for containers.
pub fn from_flags(m: &Matches, proxies: &[(String, String)]) -> Result<Spec, String> {
    let attach = m.all("attach");
    let asked = |name: &str| attach.iter().any(|a| a.eq_ignore_ascii_case(name));
    let open_stdin = m.on("interactive");
    let stdin = asked("stdin") || open_stdin;
    let stdout = asked("stdout") || attach.is_empty();
    let stderr = asked("stderr") || attach.is_empty();
    let tty = m.on("tty");
    let auto_remove = m.on("rm");

    let volumes = volumes::parse(&m.all("volume"))?;
    let ports = ports::parse(&m.all("publish"), &m.all("expose"))?;
    let mut environment: Vec<String> = Vec::new();
    let flags = m.all("env");
    for (name, value) in proxies {
        let is_set = |e: &String| e.split('=').next() == Some(name);
        if !flags.iter().any(is_set) {
            environment.push(format!("{name}={value}"));
        }
    }
    environment.extend(env::env(&m.all("env-file"), &flags)?);
    let labels = env::labels(&m.all("label-file"), &m.all("label"))?;
    let (networks, endpoints) = networks(m)?;
    let host = host_config(m, &volumes, &ports, &networks)?;

    let mut body = Map::new();
    let mut put = |key: &str, value: Value| drop(body.insert(key.to_owned(), value));
    put("Hostname", json!(m.text("hostname")));
    put("Domainname", json!(m.text("domainname")));
    put("User", json!(m.text("user")));
    put("AttachStdin", json!(stdin));
    put("AttachStdout", json!(stdout));
    put("AttachStderr", json!(stderr));
    if !ports.exposed.is_empty() {
        put("ExposedPorts", Value::Object(ports.exposed.clone()));
    }
    put("Tty", json!(tty));
    put("OpenStdin", json!(open_stdin));
    put("StdinOnce", json!(open_stdin && stdin));
    put("Env", json!(environment));
    put("Cmd", if m.words.len() > 1 { json!(m.words[1..]) } else { Value::Null });
    if let Some(health) = health(m)? {
        put("Healthcheck", health);
    }
    if m.word(0).is_empty() {
        return Err("invalid reference format".to_owned());
    }
    put("Image", json!(m.word(0)));
    let anonymous: Map<String, Value> = volumes.anonymous.iter().map(|v| (v.clone(), json!({}))).collect();
    put("Volumes", Value::Object(anonymous));
    put("WorkingDir", json!(m.text("workdir")));
    // `--entrypoint ""` resets the image's.
    put("Entrypoint", m.given("entrypoint").map_or(Value::Null, |e| json!([e])));
    put("Labels", Value::Object(env::to_map(&labels)));
    if m.changed("stop-signal") {
        put("StopSignal", json!(m.text("stop-signal")));
    }
    if m.changed("stop-timeout") {
        put("StopTimeout", json!(m.int("stop-timeout")));
    }
    if m.changed("mac-address") && networks.len() < 2 {
        put("MacAddress", json!(m.text("mac-address")));
    }
    put("HostConfig", host);
    put("NetworkingConfig", json!({"EndpointsConfig": endpoints}));
    Ok(Spec { body: Value::Object(body), tty, stdin, stdout, stderr, auto_remove })
}

fn host_config(
    m: &Matches,
    volumes: &volumes::Volumes,
    ports: &ports::Ports,
    networks: &[network::Attachment],
) -> Result<Value, String> {
    let swappiness = m.int("memory-swappiness");
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return Err(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100"));
    }
    let restart = restart_policy(m.text("restart"))?;
    if m.on("rm") && restart["Name"] != json!("no") && restart["Name"] != json!("") {
        return Err("conflicting options: cannot specify both --restart and --rm".into());
    }
    for (flag, valid) in [
        ("pid", ["host", "container:"].as_slice()),
        ("uts", &["host"]),
        ("userns", &["host"]),
        ("cgroupns", &["host", "private"]),
    ] {
        let mode = m.text(flag);
        let fits = |v: &&str| {
            if v.ends_with(':') { mode.starts_with(*v) && mode.len() > v.len() } else { mode == *v }
        };
        if !mode.is_empty() && !valid.iter().any(fits) {
            let noun = match flag {
                "pid" => "PID",
                "uts" => "UTS",
                "userns" => "USER",
                _ => "CGROUP",
            };
            return Err(format!("--{flag}: invalid {noun} mode"));
        }
    }
    let log_driver = m.text("log-driver");
    let log_opts = env::to_map(&m.all("log-opt"));
    if log_driver == "none" && !log_opts.is_empty() {
        return Err(format!("invalid logging opts for driver {log_driver}"));
    }
    let security = security::parse(&m.all("security-opt"))?;
    let mut storage = Map::new();
    for option in m.all("storage-opt") {
        let (key, value) = option.split_once('=').ok_or("invalid storage option")?;
        storage.insert(key.to_owned(), json!(value));
    }
    let mut tmpfs = Map::new();
    for spec in m.all("tmpfs") {
        let (path, options) = spec.split_once(':').unwrap_or((&spec, ""));
        tmpfs.insert(path.to_owned(), json!(options));
    }
    let (mut devices, mut cdi) = (Vec::new(), Vec::new());
    for device in m.all("device") {
        match devices::is_cdi(&device) {
            true => cdi.push(device),
            false => devices.push(devices::mapping(&device)?),
        }
    }
    let mut requests: Vec<Value> = m.all("gpus").iter().map(|g| gpus::parse(g)).collect::<Result<_, _>>()?;
    if !cdi.is_empty() {
        requests.push(json!({"Driver": "cdi", "DeviceIDs": cdi}));
    }
    let each = |flag: &str, parse: fn(&str) -> Result<Value, String>| -> Result<Value, String> {
        Ok(Value::Array(m.all(flag).iter().map(|v| parse(v)).collect::<Result<_, _>>()?))
    };
    let list = |flag: &str| -> Value {
        let all = m.all(flag);
        if all.is_empty() { Value::Null } else { json!(all) }
    };
    let capabilities = |flag: &str| -> Value {
        let all = security::capabilities(&m.all(flag));
        if all.is_empty() { Value::Null } else { json!(all) }
    };
    let hosts: Vec<String> =
        m.all("add-host").iter().map(|h| hosts::extra_host(h)).collect::<Result<_, _>>()?;
    let mut dns_options = m.all("dns-option");
    dns_options.extend(m.all("dns-opt"));
    let mode = networks.first().map_or("default", |n| n.target.as_str());

    let mut host = json!({
        "Binds": if volumes.binds.is_empty() { Value::Null } else { json!(volumes.binds) },
        "ContainerIDFile": m.text("cidfile"),
        "LogConfig": {"Type": log_driver, "Config": log_opts},
        "NetworkMode": mode,
        "PortBindings": ports.bindings,
        "RestartPolicy": restart,
        "AutoRemove": m.on("rm"),
        "VolumeDriver": m.text("volume-driver"),
        "VolumesFrom": list("volumes-from"),
        "CapAdd": capabilities("cap-add"),
        "CapDrop": capabilities("cap-drop"),
        "CgroupnsMode": m.text("cgroupns"),
        "Dns": m.all("dns"),
        "DnsOptions": dns_options,
        "DnsSearch": m.all("dns-search"),
        "ExtraHosts": if hosts.is_empty() { Value::Null } else { json!(hosts) },
        "GroupAdd": list("group-add"),
        "IpcMode": m.text("ipc"),
        "Cgroup": "",
        "Links": list("link"),
        "OomScoreAdj": m.int("oom-score-adj"),
        "PidMode": m.text("pid"),
        "Privileged": m.on("privileged"),
        "PublishAllPorts": m.on("publish-all"),
        "ReadonlyRootfs": m.on("read-only"),
        "SecurityOpt": if security.options.is_empty() { Value::Null } else { json!(security.options) },
        "UTSMode": m.text("uts"),
        "UsernsMode": m.text("userns"),
        "ShmSize": m.bytes("shm-size"),
        "ConsoleSize": crate::terminal::size().map_or(json!([0, 0]), |(rows, columns)| json!([rows, columns])),
        "Isolation": m.text("isolation"),
        "CpuShares": m.int("cpu-shares"),
        "Memory": m.bytes("memory"),
        "NanoCpus": crate::parse::numbers::nano_cpus(m.text("cpus")).unwrap_or(0),
        "CgroupParent": m.text("cgroup-parent"),
        "BlkioWeight": m.int("blkio-weight"),
        "BlkioWeightDevice": each("blkio-weight-device", devices::weight)?,
        "BlkioDeviceReadBps": each("device-read-bps", devices::bytes_per_second)?,
        "BlkioDeviceWriteBps": each("device-write-bps", devices::bytes_per_second)?,
        "BlkioDeviceReadIOps": each("device-read-iops", devices::operations_per_second)?,
        "BlkioDeviceWriteIOps": each("device-write-iops", devices::operations_per_second)?,
        "CpuPeriod": m.int("cpu-period"),
        "CpuQuota": m.int("cpu-quota"),
        "CpuRealtimePeriod": m.int("cpu-rt-period"),
        "CpuRealtimeRuntime": m.int("cpu-rt-runtime"),
        "CpusetCpus": m.text("cpuset-cpus"),
        "CpusetMems": m.text("cpuset-mems"),
        "Devices": devices,
        "DeviceCgroupRules": list("device-cgroup-rule"),
        "DeviceRequests": if requests.is_empty() { Value::Null } else { json!(requests) },
        "MemoryReservation": m.bytes("memory-reservation"),
        "MemorySwap": m.bytes("memory-swap"),
        "MemorySwappiness": swappiness,
        "OomKillDisable": m.on("oom-kill-disable"),
        "PidsLimit": m.int("pids-limit"),
        "Ulimits": each("ulimit", ulimits::parse)?,
        "CpuCount": m.int("cpu-count"),
        "CpuPercent": m.int("cpu-percent"),
        "IOMaximumIOps": m.int("io-maxiops"),
        "IOMaximumBandwidth": m.bytes("io-maxbandwidth"),
    });
    let mut put = |key: &str, value: Value| host[key] = value;
    if security.open_system_paths {
        put("MaskedPaths", json!([]));
        put("ReadonlyPaths", json!([]));
    }
    if m.changed("init") {
        put("Init", json!(m.on("init")));
    }
    if m.changed("runtime") {
        put("Runtime", json!(m.text("runtime")));
    }
    if !storage.is_empty() {
        put("StorageOpt", Value::Object(storage));
    }
    if !tmpfs.is_empty() {
        put("Tmpfs", Value::Object(tmpfs));
    }
    let sysctls = m.map("sysctl");
    if !sysctls.is_empty() {
        put("Sysctls", Value::Object(sysctls));
    }
    let annotations = m.map("annotation");
    if !annotations.is_empty() {
        put("Annotations", Value::Object(annotations));
    }
    let mut mounts: Vec<Value> = m.all("mount").iter().map(|t| mounts::parse(t)).collect::<Result<_, _>>()?;
    if m.on("use-api-socket") {
        let socket = "/var/run/docker.sock";
        mounts.push(json!({"Type": "bind", "Source": socket, "Target": socket, "BindOptions": {}}));
    }
    if !mounts.is_empty() {
        put("Mounts", json!(mounts));
    }
    Ok(host)
}

/// `no`, `always`, `unless-stopped`, `on-failure[:max]`.
pub fn restart_policy(text: &str) -> Result<Value, String> {
    let bad = || format!("invalid restart policy format: {text}");
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (text, None),
    };
    if count.is_some() && name.is_empty() {
        return Err("invalid restart policy format: no policy provided before colon".into());
    }
    let count = match count {
        None => 0,
        Some(c) if c.contains(':') => return Err(bad()),
        Some(c) => c.parse::<i64>().map_err(|_| {
            "invalid restart policy format: maximum retry count must be an integer".to_string()
        })?,
    };
    Ok(json!({"Name": name, "MaximumRetryCount": count}))
}

fn health(m: &Matches) -> Result<Option<Value>, String> {
    let durations = ["health-interval", "health-timeout", "health-start-period", "health-start-interval"];
    let asked = !m.text("health-cmd").is_empty()
        || m.int("health-retries") != 0
        || durations.iter().any(|d| m.nanos(d) != 0);
    if m.on("no-healthcheck") {
        return match asked {
            true => Err("--no-healthcheck conflicts with --health-* options".into()),
            false => Ok(Some(json!({"Test": ["NONE"]}))),
        };
    }
    if !asked {
        return Ok(None);
    }
    for flag in durations {
        if m.nanos(flag) < 0 {
            return Err(format!("--{flag} cannot be negative"));
        }
    }
    if m.int("health-retries") < 0 {
        return Err("--health-retries cannot be negative".into());
    }
    let mut health = Map::new();
    if !m.text("health-cmd").is_empty() {
        health.insert("Test".into(), json!(["CMD-SHELL", m.text("health-cmd")]));
    }
    for (key, flag) in [
        ("Interval", "health-interval"),
        ("Timeout", "health-timeout"),
        ("StartPeriod", "health-start-period"),
        ("StartInterval", "health-start-interval"),
    ] {
        if m.nanos(flag) != 0 {
            health.insert(key.into(), json!(m.nanos(flag)));
        }
    }
    if m.int("health-retries") != 0 {
        health.insert("Retries".into(), json!(m.int("health-retries")));
    }
    Ok(Some(Value::Object(health)))
}

/// The networks asked for, with the single-network flags (`--ip`, `--network-alias`, ...) applied to the first.
fn networks(m: &Matches) -> Result<(Vec<network::Attachment>, Map<String, Value>), String> {
    let mut texts = m.all("network");
    texts.extend(m.all("net"));
    let mut all: Vec<network::Attachment> =
        texts.iter().map(|t| network::parse(t)).collect::<Result<_, _>>()?;
    let given = !all.is_empty();
    if !given {
        all.push(network::Attachment { target: "default".into(), ..Default::default() });
    }
    let mut aliases = m.all("network-alias");
    aliases.extend(m.all("net-alias"));
    let first = &mut all[0];
    let conflict =
        |a: &str, b: &str| Err(format!("conflicting options: cannot specify both {a} and per-network {b}"));
    if !aliases.is_empty() {
        if !first.aliases.is_empty() {
            return conflict("--network-alias", "alias");
        }
        first.aliases = aliases;
    }
    if m.changed("link") && network::is_user_defined(&first.target) {
        if !first.links.is_empty() {
            return conflict("--link", "links");
        }
        first.links = m.all("link");
    }
    for (flag, slot, what) in [
        ("ip", &mut first.ip, "IPv4 address"),
        ("ip6", &mut first.ip6, "IPv6 address"),
        ("mac-address", &mut first.mac, "MAC address"),
    ] {
        if m.changed(flag) {
            if !slot.is_empty() {
                return conflict(&format!("--{flag}"), what);
            }
            *slot = m.text(flag).to_owned();
        }
    }
    if m.changed("link-local-ip") {
        if !first.link_local.is_empty() {
            return conflict("--link-local-ip", "link-local IP addresses");
        }
        first.link_local = m.all("link-local-ip");
    }
    let user = all.iter().filter(|n| network::is_user_defined(&n.target)).count();
    let mut endpoints = Map::new();
    let several = all.len() > 1;
    for attachment in &all {
        let settings = attachment.settings()?;
        if endpoints.contains_key(&attachment.target) {
            return Err(format!("network {:?} is specified multiple times", attachment.target));
        }
        match settings {
            Some(settings) => drop(endpoints.insert(attachment.target.clone(), settings)),
            None if several => drop(endpoints.insert(attachment.target.clone(), json!({}))),
            None => {}
        }
    }
    if user > 0 && user < all.len() {
        return Err(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes".into(),
        );
    }
    Ok((all, endpoints))
}
