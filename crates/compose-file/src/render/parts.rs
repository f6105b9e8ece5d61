use std::collections::BTreeMap;

use crate::project::{
    Blkio, Build, Deploy, Develop, Device, DeviceRequest, EnvFile, GenericResource, Grant, Healthcheck, Hook,
    Mount, Placement, Port, Resource, Resources, RestartPolicy, RollingUpdate, SshKey, Throttle, Trigger,
    Ulimit,
};

use super::group::Group;
use super::{Form, Shown};

/// A command: JSON has `null` where YAML has nothing, and both have `[]` for none.
pub(super) fn command(group: &mut Group, key: &str, command: &Option<Vec<String>>) {
    match command {
        Some(words) => group.put(key, Shown::List(words.iter().cloned().map(Shown::Text).collect())),
        None if group.form == Form::Json => group.put(key, Shown::Null),
        None => {}
    }
}

pub(super) fn extra_hosts(group: &mut Group, hosts: &BTreeMap<String, Vec<String>>) {
    let pairs =
        hosts.iter().flat_map(|(host, addresses)| addresses.iter().map(move |a| format!("{host}={a}")));
    let mut pairs: Vec<String> = pairs.collect();
    pairs.sort();
    group.texts("extra_hosts", &pairs);
}

pub(super) fn build(build: &Build, form: Form) -> Shown {
    let mut group = Group::new(form);
    let g = &mut group;
    g.text("context", &build.context);
    g.text("dockerfile", &build.dockerfile);
    g.text("dockerfile_inline", &build.dockerfile_inline);
    g.texts("entitlements", &build.entitlements);
    g.maybe_pairs("args", &build.args);
    g.text("provenance", &build.provenance);
    g.text("sbom", &build.sbom);
    g.each("ssh", &build.ssh, ssh);
    g.pairs("labels", &build.labels);
    g.texts("cache_from", &build.cache_from);
    g.texts("cache_to", &build.cache_to);
    g.switch("no_cache", build.no_cache);
    g.texts("no_cache_filter", &build.no_cache_filter);
    g.pairs("additional_contexts", &build.additional_contexts);
    g.switch("pull", build.pull);
    extra_hosts(g, &build.extra_hosts);
    g.text("isolation", &build.isolation);
    g.text("network", &build.network);
    g.text("target", &build.target);
    g.each("secrets", &build.secrets, |secret| grant(secret, form));
    g.size("shm_size", build.shm_size);
    g.texts("tags", &build.tags);
    g.map("ulimits", &build.ulimits, |limit| ulimit(*limit, form));
    g.texts("platforms", &build.platforms);
    g.switch("privileged", build.privileged);
    g.extensions(&build.extensions);
    group.done()
}

fn ssh(key: &SshKey) -> Shown {
    match key.path.as_str() {
        "" => Shown::Text(key.id.clone()),
        path => Shown::Text(format!("{}={path}", key.id)),
    }
}

pub(super) fn develop(develop: &Develop, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.each("watch", &develop.watch, |trigger| self::trigger(trigger, form));
    group.extensions(&develop.extensions);
    group.done()
}

fn trigger(trigger: &Trigger, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.put("path", Shown::Text(trigger.path.clone()));
    group.put("action", Shown::Text(trigger.action.as_str().to_owned()));
    group.text("target", &trigger.target);
    let none = Hook::default();
    group.nested("exec", hook(trigger.exec.as_ref().unwrap_or(&none), form));
    group.texts("include", &trigger.include);
    group.texts("ignore", &trigger.ignore);
    group.switch("initial_sync", trigger.initial_sync);
    group.extensions(&trigger.extensions);
    group.done()
}

pub(super) fn hook(hook: &Hook, form: Form) -> Shown {
    let mut group = Group::new(form);
    command(&mut group, "command", &hook.command);
    group.text("user", &hook.user);
    group.switch("privileged", hook.privileged);
    group.text("working_dir", &hook.working_dir);
    group.maybe_pairs("environment", &hook.environment);
    group.extensions(&hook.extensions);
    group.done()
}

pub(super) fn blkio(blkio: &Blkio, form: Form) -> Shown {
    let (path, weight, rate) = match form {
        Form::Yaml => ("path", "weight", "rate"),
        Form::Json => ("Path", "Weight", "Rate"),
    };
    let throttle = |throttle: &Throttle| {
        Shown::Map(vec![
            (path.to_owned(), Shown::Text(throttle.path.clone())),
            (rate.to_owned(), Shown::Text(throttle.rate.to_string())),
        ])
    };
    let mut group = Group::new(form);
    group.integer("weight", i64::from(blkio.weight));
    group.each("weight_device", &blkio.weight_device, |device| {
        Shown::Map(vec![
            (path.to_owned(), Shown::Text(device.path.clone())),
            (weight.to_owned(), Shown::Integer(i64::from(device.weight))),
        ])
    });
    group.each("device_read_bps", &blkio.device_read_bps, throttle);
    group.each("device_read_iops", &blkio.device_read_iops, throttle);
    group.each("device_write_bps", &blkio.device_write_bps, throttle);
    group.each("device_write_iops", &blkio.device_write_iops, throttle);
    group.extensions(&blkio.extensions);
    group.done()
}

pub(super) fn grant(grant: &Grant, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("source", &grant.source);
    group.text("target", &grant.target);
    group.text("uid", &grant.uid);
    group.text("gid", &grant.gid);
    group.maybe("mode", &grant.mode, |mode| Shown::Text(mode.to_string()));
    group.extensions(&grant.extensions);
    group.done()
}

pub(super) fn deploy(deploy: &Deploy, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("mode", &deploy.mode);
    group.maybe("replicas", &deploy.replicas, |count| Shown::Integer(*count));
    group.pairs("labels", &deploy.labels);
    group.maybe("update_config", &deploy.update_config, |update| rolling(update, form));
    group.maybe("rollback_config", &deploy.rollback_config, |update| rolling(update, form));
    group.nested("resources", resources(&deploy.resources, form));
    group.maybe("restart_policy", &deploy.restart_policy, |policy| restart_policy(policy, form));
    group.nested("placement", placement(&deploy.placement, form));
    group.text("endpoint_mode", &deploy.endpoint_mode);
    group.extensions(&deploy.extensions);
    group.done()
}

fn rolling(update: &RollingUpdate, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.maybe_count("parallelism", update.parallelism);
    group.duration("delay", update.delay);
    group.text("failure_action", &update.failure_action);
    group.duration("monitor", update.monitor);
    group.number("max_failure_ratio", update.max_failure_ratio);
    group.maybe("order", &update.order, |order| Shown::Text(order.as_str().to_owned()));
    group.extensions(&update.extensions);
    group.done()
}

fn resources(resources: &Resources, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.maybe("limits", &resources.limits, |limits| resource(limits, form));
    group.maybe("reservations", &resources.reservations, |reserved| resource(reserved, form));
    group.extensions(&resources.extensions);
    group.done()
}

fn resource(resource: &Resource, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.number("cpus", resource.cpus);
    group.size("memory", resource.memory);
    group.integer("pids", resource.pids);
    group.each("devices", &resource.devices, |request| device_request(request, form));
    group.each("generic_resources", &resource.generic_resources, generic);
    group.extensions(&resource.extensions);
    group.done()
}

fn generic(resource: &GenericResource) -> Shown {
    let spec = Shown::Map(vec![
        ("kind".to_owned(), Shown::Text(resource.kind.clone())),
        ("value".to_owned(), Shown::Integer(resource.value)),
    ]);
    Shown::Map(vec![("discrete_resource_spec".to_owned(), spec)])
}

fn restart_policy(policy: &RestartPolicy, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("condition", &policy.condition);
    group.maybe_duration("delay", policy.delay);
    group.maybe_count("max_attempts", policy.max_attempts);
    group.maybe_duration("window", policy.window);
    group.extensions(&policy.extensions);
    group.done()
}

fn placement(placement: &Placement, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.texts("constraints", &placement.constraints);
    group.each("preferences", &placement.spread, |spread| {
        let mut group = Group::new(form);
        group.text("spread", spread);
        group.done()
    });
    group
        .integer("max_replicas_per_node", i64::try_from(placement.max_replicas_per_node).unwrap_or(i64::MAX));
    group.done()
}

pub(super) fn device(device: &Device, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("source", &device.source);
    group.text("target", &device.target);
    group.text("permissions", &device.permissions);
    group.extensions(&device.extensions);
    group.done()
}

pub(super) fn device_request(request: &DeviceRequest, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.texts("capabilities", &request.capabilities);
    group.text("driver", &request.driver);
    group.integer("count", request.count);
    group.texts("device_ids", &request.device_ids);
    group.pairs("options", &request.options);
    group.done()
}

pub(super) fn env_file(file: &EnvFile, form: Form) -> Shown {
    if file.required && (form == Form::Json || file.format.is_empty()) {
        return Shown::Text(file.path.clone());
    }
    let mut group = Group::new(form);
    group.text("path", &file.path);
    group.put("required", Shown::Switch(file.required));
    group.text("format", &file.format);
    group.done()
}

pub(super) fn healthcheck(check: &Healthcheck, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.texts("test", &check.test);
    group.maybe_duration("timeout", check.timeout);
    group.maybe_duration("interval", check.interval);
    group.maybe_count("retries", check.retries);
    group.maybe_duration("start_period", check.start_period);
    group.maybe_duration("start_interval", check.start_interval);
    group.switch("disable", check.disable);
    group.extensions(&check.extensions);
    group.done()
}

pub(super) fn port(port: &Port, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("name", &port.name);
    group.text("mode", &port.mode);
    group.text("host_ip", &port.host_ip);
    group.integer("target", i64::from(port.target));
    group.text("published", &port.published);
    group.text("protocol", &port.protocol);
    group.text("app_protocol", &port.app_protocol);
    group.extensions(&port.extensions);
    group.done()
}

pub(super) fn ulimit(limit: Ulimit, form: Form) -> Shown {
    match limit {
        Ulimit::Single(limit) if limit != 0 => Shown::Integer(limit),
        _ if form == Form::Yaml => Shown::Map(vec![
            ("soft".to_owned(), Shown::Integer(limit.soft())),
            ("hard".to_owned(), Shown::Integer(limit.hard())),
        ]),
        _ => {
            let mut group = Group::new(form);
            group.integer("soft", limit.soft());
            group.integer("hard", limit.hard());
            group.done()
        }
    }
}

pub(super) fn mount(mount: &Mount, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("type", mount.kind.as_str());
    group.text("source", &mount.source);
    group.text("target", &mount.target);
    group.switch("read_only", mount.read_only);
    group.text("consistency", &mount.consistency);
    group.maybe("bind", &mount.bind, |bind| {
        let mut group = Group::new(form);
        group.text("selinux", &bind.selinux);
        group.text("propagation", &bind.propagation);
        group.switch("create_host_path", bind.create_host_path);
        group.text("recursive", &bind.recursive);
        group.extensions(&bind.extensions);
        group.done()
    });
    group.maybe("volume", &mount.volume, |volume| {
        let mut group = Group::new(form);
        group.pairs("labels", &volume.labels);
        group.switch("nocopy", volume.nocopy);
        group.text("subpath", &volume.subpath);
        group.extensions(&volume.extensions);
        group.done()
    });
    group.maybe("tmpfs", &mount.tmpfs, |tmpfs| {
        let mut group = Group::new(form);
        group.size("size", tmpfs.size);
        group.integer("mode", i64::from(tmpfs.mode));
        group.extensions(&tmpfs.extensions);
        group.done()
    });
    group.maybe("image", &mount.image, |image| {
        let mut group = Group::new(form);
        group.text("subpath", &image.subpath);
        group.extensions(&image.extensions);
        group.done()
    });
    group.extensions(&mount.extensions);
    group.done()
}
