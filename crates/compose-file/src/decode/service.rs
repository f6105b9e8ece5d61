use std::collections::BTreeMap;

use crate::project::{
    Condition, CredentialSpec, Data, Dependency, Device, EnvFile, Logging, NetworkOfService, Provider,
    Service, ServiceModel,
};

use super::fields::Fields;
use super::running;

pub(super) fn service(name: &str, fields: Fields<'_>) -> Service {
    Service {
        name: name.to_owned(),
        profiles: fields.texts("profiles"),
        annotations: fields.pairs("annotations"),
        attach: fields.maybe_switch("attach"),
        build: fields.under("build", running::build),
        develop: fields.under("develop", running::develop),
        blkio_config: fields.under("blkio_config", running::blkio),
        cap_add: fields.texts("cap_add"),
        cap_drop: fields.texts("cap_drop"),
        cgroup_parent: fields.text("cgroup_parent"),
        cgroup: fields.text("cgroup"),
        cpu_count: fields.integer("cpu_count"),
        cpu_percent: fields.number("cpu_percent"),
        cpu_period: fields.integer("cpu_period"),
        cpu_quota: fields.integer("cpu_quota"),
        cpu_rt_period: fields.integer("cpu_rt_period"),
        cpu_rt_runtime: fields.integer("cpu_rt_runtime"),
        cpus: fields.number("cpus"),
        cpuset: fields.text("cpuset"),
        cpu_shares: fields.integer("cpu_shares"),
        command: running::command(fields, "command"),
        configs: fields.each("configs", running::grant),
        container_name: fields.text("container_name"),
        credential_spec: fields.under("credential_spec", credential_spec),
        depends_on: fields.map_of("depends_on", |_, fields| dependency(fields)),
        deploy: fields.under("deploy", running::deploy),
        device_cgroup_rules: fields.texts("device_cgroup_rules"),
        devices: fields.each("devices", device),
        dns: fields.texts("dns"),
        dns_opt: fields.texts("dns_opt"),
        dns_search: fields.texts("dns_search"),
        domainname: fields.text("domainname"),
        entrypoint: running::command(fields, "entrypoint"),
        provider: fields.under("provider", provider),
        environment: fields.maybe_pairs("environment"),
        env_file: fields.each("env_file", env_file),
        expose: fields.texts("expose"),
        external_links: fields.texts("external_links"),
        extra_hosts: running::extra_hosts(fields),
        group_add: fields.texts("group_add"),
        gpus: fields.each("gpus", running::device_request),
        hostname: fields.text("hostname"),
        healthcheck: fields.under("healthcheck", running::healthcheck),
        image: fields.text("image"),
        init: fields.maybe_switch("init"),
        ipc: fields.text("ipc"),
        isolation: fields.text("isolation"),
        labels: fields.pairs("labels"),
        label_file: fields.texts("label_file"),
        links: fields.texts("links"),
        logging: fields.under("logging", logging),
        mem_limit: fields.size("mem_limit"),
        mem_reservation: fields.size("mem_reservation"),
        memswap_limit: fields.size("memswap_limit"),
        mem_swappiness: fields.size("mem_swappiness"),
        mac_address: fields.text("mac_address"),
        models: fields.map_of("models", |_, fields| fields.node().as_map().map(|_| service_model(fields))),
        network_mode: fields.text("network_mode"),
        networks: fields.map_of("networks", |_, fields| fields.node().as_map().map(|_| network(fields))),
        oom_kill_disable: fields.switch("oom_kill_disable"),
        oom_score_adj: fields.integer("oom_score_adj"),
        pid: fields.text("pid"),
        pids_limit: fields.integer("pids_limit"),
        platform: fields.text("platform"),
        ports: fields.each("ports", running::port),
        privileged: fields.switch("privileged"),
        pull_policy: fields.text("pull_policy"),
        pull_refresh_after: fields.text("pull_refresh_after"),
        read_only: fields.switch("read_only"),
        restart: fields.text("restart"),
        runtime: fields.text("runtime"),
        scale: fields.maybe_integer("scale"),
        secrets: fields.each("secrets", running::grant),
        security_opt: fields.texts("security_opt"),
        shm_size: fields.size("shm_size"),
        stdin_open: fields.switch("stdin_open"),
        stop_grace_period: fields.maybe_duration("stop_grace_period"),
        stop_signal: fields.text("stop_signal"),
        storage_opt: fields.pairs("storage_opt"),
        sysctls: fields.pairs("sysctls"),
        tmpfs: fields.texts("tmpfs"),
        tty: fields.switch("tty"),
        ulimits: fields.map_of("ulimits", |_, fields| running::ulimit(fields)),
        use_api_socket: fields.switch("use_api_socket"),
        user: fields.text("user"),
        userns_mode: fields.text("userns_mode"),
        uts: fields.text("uts"),
        volumes: fields.each("volumes", running::mount),
        volumes_from: fields.texts("volumes_from"),
        working_dir: fields.text("working_dir"),
        post_start: fields.each("post_start", running::hook),
        pre_stop: fields.each("pre_stop", running::hook),
        extensions: fields.extensions(),
    }
}

fn credential_spec(fields: Fields<'_>) -> CredentialSpec {
    CredentialSpec {
        config: fields.text("config"),
        file: fields.text("file"),
        registry: fields.text("registry"),
        extensions: fields.extensions(),
    }
}

fn dependency(fields: Fields<'_>) -> Dependency {
    Dependency {
        condition: match fields.text("condition").as_str() {
            "service_healthy" => Condition::Healthy,
            "service_completed_successfully" => Condition::CompletedSuccessfully,
            _ => Condition::Started,
        },
        restart: fields.switch("restart"),
        required: fields.maybe_switch("required").unwrap_or(true),
        extensions: fields.extensions(),
    }
}

fn device(fields: Fields<'_>) -> Device {
    Device {
        source: fields.text("source"),
        target: fields.text("target"),
        permissions: fields.text("permissions"),
        extensions: fields.extensions(),
    }
}

fn env_file(fields: Fields<'_>) -> EnvFile {
    EnvFile {
        path: fields.text("path"),
        required: fields.maybe_switch("required").unwrap_or(true),
        format: fields.text("format"),
    }
}

fn logging(fields: Fields<'_>) -> Logging {
    Logging {
        driver: fields.text("driver"),
        options: fields.pairs("options"),
        extensions: fields.extensions(),
    }
}

fn service_model(fields: Fields<'_>) -> ServiceModel {
    ServiceModel {
        endpoint_var: fields.text("endpoint_var"),
        model_var: fields.text("model_var"),
        extensions: fields.extensions(),
    }
}

fn network(fields: Fields<'_>) -> NetworkOfService {
    NetworkOfService {
        aliases: fields.texts("aliases"),
        driver_opts: fields.pairs("driver_opts"),
        gw_priority: fields.integer("gw_priority"),
        interface_name: fields.text("interface_name"),
        ipv4_address: fields.text("ipv4_address"),
        ipv6_address: fields.text("ipv6_address"),
        link_local_ips: fields.texts("link_local_ips"),
        mac_address: fields.text("mac_address"),
        priority: fields.integer("priority"),
        extensions: fields.extensions(),
    }
}

fn provider(fields: Fields<'_>) -> Provider {
    let mut options: BTreeMap<String, Vec<Data>> = BTreeMap::new();
    for (name, values) in
        fields.map_of("options", |_, fields| crate::merge::sequence(fields.node())).into_iter()
    {
        options.insert(name, values.iter().map(|value| Data::Text(value.printed())).collect());
    }
    Provider { kind: fields.text("type"), options, extensions: fields.extensions() }
}
