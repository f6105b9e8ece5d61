//! The engine about itself, in the shape each version had.

use crate::failure::Failure;
use crate::timestamp::rfc3339_nano;
use gantry_api::swarm::SwarmInfo;
use gantry_api::system::{
    AddressPool, Commit, FirewallBackend, IndexConfig, Info, PluginsInfo, RegistryConfig, Runtime,
};
use gantry_api::version::ApiVersion;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the machine says of itself.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) os: String,
    pub(crate) os_version: String,
    pub(crate) architecture: String,
    pub(crate) host_name: String,
    pub(crate) cpus: i64,
    pub(crate) memory: i64,
    pub(crate) descriptors: i64,
    pub(crate) threads: i64,
    pub(crate) ipv4_forwarding: bool,
}

/// `GET /info`.
pub(crate) fn info(
    engine: gantry_engine::Info,
    machine: Machine,
    version: ApiVersion,
) -> Result<Value, Failure> {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    // Docker prints what its runtime was built from; ours is part of this program.
    let commit = || Commit {
        id: env!("CARGO_PKG_VERSION").into(),
        expected: if version.before(49) { env!("CARGO_PKG_VERSION").into() } else { String::new() },
    };
    let runtimes = engine.runtimes.iter().map(|(name, path)| {
        (name.clone(), Runtime { path: path.display().to_string(), ..Default::default() })
    });
    let pools = engine.address_pools.iter();
    let info = Info {
        id: engine.id,
        containers: count(engine.containers),
        containers_running: count(engine.running),
        containers_paused: count(engine.paused),
        containers_stopped: count(engine.stopped),
        images: count(engine.images),
        driver: engine.driver,
        driver_status: Some(engine.driver_status),
        plugins: PluginsInfo {
            volume: Some(vec!["local".into()]),
            network: Some(engine.network_drivers),
            authorization: None,
            log: Some(engine.log_drivers),
        },
        memory_limit: engine.limits.memory,
        swap_limit: engine.limits.swap,
        cpu_cfs_period: engine.limits.cpu_cfs,
        cpu_cfs_quota: engine.limits.cpu_cfs,
        cpu_shares: engine.limits.cpu_shares,
        cpu_set: engine.limits.cpuset,
        pids_limit: engine.limits.pids,
        ipv4_forwarding: machine.ipv4_forwarding,
        debug: engine.debug,
        n_fd: machine.descriptors,
        oom_kill_disable: engine.limits.oom_kill_disable,
        n_goroutines: machine.threads,
        system_time: rfc3339_nano(Timestamp::now()),
        logging_driver: engine.logging_driver,
        cgroup_driver: "cgroupfs".into(),
        cgroup_version: engine.cgroup_version,
        n_events_listener: count(engine.events_listeners),
        kernel_version: machine.kernel,
        operating_system: machine.os,
        os_version: machine.os_version,
        os_type: "linux".into(),
        architecture: machine.architecture,
        index_server_address: "https://index.docker.io/v1/".into(),
        registry_config: Some(registries(&engine.insecure_registries, engine.mirrors)),
        n_cpu: machine.cpus,
        mem_total: machine.memory,
        generic_resources: None,
        docker_root_dir: engine.root_dir.display().to_string(),
        http_proxy: engine.http_proxy,
        https_proxy: engine.https_proxy,
        no_proxy: engine.no_proxy,
        name: machine.host_name,
        labels: Some(engine.labels),
        experimental_build: engine.experimental,
        server_version: env!("CARGO_PKG_VERSION").into(),
        runtimes: Some(runtimes.collect()),
        default_runtime: engine.default_runtime,
        swarm: SwarmInfo { local_node_state: "inactive".into(), ..Default::default() },
        live_restore_enabled: engine.live_restore,
        init_binary: engine.init_binary,
        containerd_commit: Commit::default(),
        runc_commit: commit(),
        init_commit: commit(),
        security_options: Some(security_options(engine.security_options, version)),
        default_address_pools: pools
            .map(|(base, size)| AddressPool { base: base.clone(), size: (*size).into() })
            .collect(),
        firewall_backend: Some(FirewallBackend { driver: engine.firewall, info: Vec::new() })
            .filter(|_| version.since(49)),
        cdi_spec_dirs: Some(Vec::new()),
        warnings: Some(engine.warnings).filter(|warnings| !warnings.is_empty()),
        ..Default::default()
    };
    let mut value = serde_json::to_value(info).map_err(|e| Failure::internal(e.to_string()))?;
    if version.before(47) {
        value["RegistryConfig"]["AllowNondistributableArtifactsCIDRs"] = Value::Null;
        value["RegistryConfig"]["AllowNondistributableArtifactsHostnames"] = Value::Null;
    }
    if version.before(50) {
        value["BridgeNfIptables"] = json!(false);
        value["BridgeNfIp6tables"] = json!(false);
    }
    Ok(value)
}

/// Before 1.25 only the names were told.
fn security_options(options: Vec<String>, version: ApiVersion) -> Vec<String> {
    if version.since(25) {
        return options;
    }
    let name = |option: &String| {
        let parts = option.split(',').find_map(|part| part.strip_prefix("name="));
        parts.unwrap_or(option).to_owned()
    };
    options.iter().map(name).collect()
}

/// Networks and hosts that need no TLS; this machine always is one.
fn registries(insecure: &[String], mirrors: Vec<String>) -> RegistryConfig {
    let mut cidrs: Vec<String> = vec!["::1/128".into(), "127.0.0.0/8".into()];
    let hub = IndexConfig {
        name: "docker.io".into(),
        mirrors: Some(mirrors.clone()),
        secure: true,
        official: true,
    };
    let mut indexes = BTreeMap::from([("docker.io".to_owned(), hub)]);
    for host in insecure {
        if host.contains('/') {
            cidrs.push(host.clone());
        } else {
            let index =
                IndexConfig { name: host.clone(), mirrors: Some(vec![]), secure: false, official: false };
            indexes.insert(host.clone(), index);
        }
    }
    RegistryConfig {
        index_configs: Some(indexes),
        insecure_registry_cidrs: Some(cidrs),
        mirrors: Some(mirrors),
    }
}
