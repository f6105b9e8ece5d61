use crate::project::{
    CredentialSpec, Dependency, Logging, NetworkOfService, Provider, Service, ServiceModel,
};

use super::group::Group;
use super::{Form, Shown, parts};

/// A service; the order is the one its config hash is computed over.
pub(super) fn service(service: &Service, form: Form) -> Shown {
    let mut group = Group::new(form);
    let g = &mut group;
    g.texts("profiles", &service.profiles);
    g.pairs("annotations", &service.annotations);
    g.maybe_switch("attach", service.attach);
    g.maybe("build", &service.build, |build| parts::build(build, form));
    g.maybe("develop", &service.develop, |develop| parts::develop(develop, form));
    g.maybe("blkio_config", &service.blkio_config, |blkio| parts::blkio(blkio, form));
    g.texts("cap_add", &service.cap_add);
    g.texts("cap_drop", &service.cap_drop);
    g.text("cgroup_parent", &service.cgroup_parent);
    g.text("cgroup", &service.cgroup);
    g.integer("cpu_count", service.cpu_count);
    g.number("cpu_percent", service.cpu_percent);
    g.integer("cpu_period", service.cpu_period);
    g.integer("cpu_quota", service.cpu_quota);
    g.integer("cpu_rt_period", service.cpu_rt_period);
    g.integer("cpu_rt_runtime", service.cpu_rt_runtime);
    g.number("cpus", service.cpus);
    g.text("cpuset", &service.cpuset);
    g.integer("cpu_shares", service.cpu_shares);
    parts::command(g, "command", &service.command);
    g.each("configs", &service.configs, |grant| parts::grant(grant, form));
    g.text("container_name", &service.container_name);
    g.maybe("credential_spec", &service.credential_spec, |spec| credential_spec(spec, form));
    g.map("depends_on", &service.depends_on, |dependency| self::dependency(dependency, form));
    g.maybe("deploy", &service.deploy, |deploy| parts::deploy(deploy, form));
    g.texts("device_cgroup_rules", &service.device_cgroup_rules);
    g.each("devices", &service.devices, |device| parts::device(device, form));
    g.texts("dns", &service.dns);
    g.texts("dns_opt", &service.dns_opt);
    g.texts("dns_search", &service.dns_search);
    g.text("domainname", &service.domainname);
    parts::command(g, "entrypoint", &service.entrypoint);
    g.maybe("provider", &service.provider, |provider| self::provider(provider, form));
    g.maybe_pairs("environment", &service.environment);
    g.each("env_file", &service.env_file, |file| parts::env_file(file, form));
    g.texts("expose", &service.expose);
    g.texts("external_links", &service.external_links);
    parts::extra_hosts(g, &service.extra_hosts);
    g.texts("group_add", &service.group_add);
    g.each("gpus", &service.gpus, |request| parts::device_request(request, form));
    g.text("hostname", &service.hostname);
    g.maybe("healthcheck", &service.healthcheck, |check| parts::healthcheck(check, form));
    g.text("image", &service.image);
    g.maybe_switch("init", service.init);
    g.text("ipc", &service.ipc);
    g.text("isolation", &service.isolation);
    g.pairs("labels", &service.labels);
    g.texts("label_file", &service.label_file);
    g.texts("links", &service.links);
    g.maybe("logging", &service.logging, |logging| self::logging(logging, form));
    g.size("mem_limit", service.mem_limit);
    g.size("mem_reservation", service.mem_reservation);
    g.size("memswap_limit", service.memswap_limit);
    g.size("mem_swappiness", service.mem_swappiness);
    g.text("mac_address", &service.mac_address);
    g.map("models", &service.models, |model| {
        model.as_ref().map_or(Shown::Null, |model| self::model(model, form))
    });
    g.text("network_mode", &service.network_mode);
    g.map("networks", &service.networks, |network| {
        network.as_ref().map_or(Shown::Null, |network| self::network(network, form))
    });
    g.switch("oom_kill_disable", service.oom_kill_disable);
    g.integer("oom_score_adj", service.oom_score_adj);
    g.text("pid", &service.pid);
    g.integer("pids_limit", service.pids_limit);
    g.text("platform", &service.platform);
    g.each("ports", &service.ports, |port| parts::port(port, form));
    g.switch("privileged", service.privileged);
    g.text("pull_policy", &service.pull_policy);
    g.switch("read_only", service.read_only);
    g.text("restart", &service.restart);
    g.text("runtime", &service.runtime);
    g.maybe("scale", &service.scale, |scale| Shown::Integer(*scale));
    g.each("secrets", &service.secrets, |grant| parts::grant(grant, form));
    g.texts("security_opt", &service.security_opt);
    g.size("shm_size", service.shm_size);
    g.switch("stdin_open", service.stdin_open);
    g.maybe_duration("stop_grace_period", service.stop_grace_period);
    g.text("stop_signal", &service.stop_signal);
    g.pairs("storage_opt", &service.storage_opt);
    g.pairs("sysctls", &service.sysctls);
    g.texts("tmpfs", &service.tmpfs);
    g.switch("tty", service.tty);
    g.map("ulimits", &service.ulimits, |limit| parts::ulimit(*limit, form));
    g.switch("use_api_socket", service.use_api_socket);
    g.text("user", &service.user);
    g.text("userns_mode", &service.userns_mode);
    g.text("uts", &service.uts);
    g.each("volumes", &service.volumes, |mount| parts::mount(mount, form));
    g.texts("volumes_from", &service.volumes_from);
    g.text("working_dir", &service.working_dir);
    g.each("post_start", &service.post_start, |hook| parts::hook(hook, form));
    g.each("pre_stop", &service.pre_stop, |hook| parts::hook(hook, form));
    g.extensions(&service.extensions);
    group.done()
}

fn credential_spec(spec: &CredentialSpec, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("config", &spec.config);
    group.text("file", &spec.file);
    group.text("registry", &spec.registry);
    group.extensions(&spec.extensions);
    group.done()
}

fn dependency(dependency: &Dependency, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("condition", dependency.condition.as_str());
    group.switch("restart", dependency.restart);
    group.put("required", Shown::Switch(dependency.required));
    group.extensions(&dependency.extensions);
    group.done()
}

fn provider(provider: &Provider, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("type", &provider.kind);
    group.map("options", &provider.options, |values| {
        Shown::List(values.iter().map(|value| Shown::of(value, form)).collect())
    });
    group.extensions(&provider.extensions);
    group.done()
}

fn logging(logging: &Logging, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("driver", &logging.driver);
    group.pairs("options", &logging.options);
    group.extensions(&logging.extensions);
    group.done()
}

fn model(model: &ServiceModel, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("endpoint_var", &model.endpoint_var);
    group.text("model_var", &model.model_var);
    group.extensions(&model.extensions);
    group.done()
}

fn network(network: &NetworkOfService, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.texts("aliases", &network.aliases);
    group.pairs("driver_opts", &network.driver_opts);
    group.integer("gw_priority", network.gw_priority);
    group.text("interface_name", &network.interface_name);
    group.text("ipv4_address", &network.ipv4_address);
    group.text("ipv6_address", &network.ipv6_address);
    group.texts("link_local_ips", &network.link_local_ips);
    group.text("mac_address", &network.mac_address);
    group.integer("priority", network.priority);
    group.extensions(&network.extensions);
    group.done()
}
