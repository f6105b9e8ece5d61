//! The larger attributes of a service: how it is built, how many there are, what watches it.

use std::collections::BTreeMap;

use crate::project::{
    BindOptions, Blkio, Build, Deploy, Develop, DeviceRequest, FileMode, GenericResource, Grant, Healthcheck,
    Hook, ImageOptions, Mount, MountKind, Placement, Port, Resource, Resources, RestartPolicy, RollingUpdate,
    SshKey, Throttle, TmpfsOptions, Trigger, Ulimit, UpdateOrder, VolumeOptions, WatchAction, WeightOfDevice,
};
use crate::tree::{Node, Value};
use crate::words;

use super::fields::Fields;

pub(super) fn build(fields: Fields<'_>) -> Build {
    Build {
        context: fields.text("context"),
        dockerfile: fields.text("dockerfile"),
        dockerfile_inline: fields.text("dockerfile_inline"),
        entitlements: fields.texts("entitlements"),
        args: fields.maybe_pairs("args"),
        provenance: fields.text("provenance"),
        sbom: fields.text("sbom"),
        ssh: fields
            .maybe_pairs("ssh")
            .into_iter()
            .map(|(id, path)| SshKey { id, path: path.unwrap_or_default() })
            .collect(),
        labels: fields.pairs("labels"),
        cache_from: fields.texts("cache_from"),
        cache_to: fields.texts("cache_to"),
        no_cache: fields.switch("no_cache"),
        no_cache_filter: fields.texts("no_cache_filter"),
        additional_contexts: fields.pairs("additional_contexts"),
        pull: fields.switch("pull"),
        extra_hosts: extra_hosts(fields),
        isolation: fields.text("isolation"),
        network: fields.text("network"),
        target: fields.text("target"),
        secrets: fields.each("secrets", grant),
        shm_size: fields.size("shm_size"),
        tags: fields.texts("tags"),
        ulimits: fields.map_of("ulimits", |_, fields| ulimit(fields)),
        platforms: fields.texts("platforms"),
        privileged: fields.switch("privileged"),
        extensions: fields.extensions(),
    }
}

/// `host: address`, `host=address` or `host:address`, several addresses in a list or between commas.
pub(super) fn extra_hosts(fields: Fields<'_>) -> BTreeMap<String, Vec<String>> {
    let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let Some(node) = fields.get("extra_hosts") else { return hosts };
    if let Some(map) = node.as_map() {
        for entry in map.iter() {
            let addresses = match &entry.value.value {
                Value::List(list) => list.iter().map(Node::printed).collect(),
                _ => vec![entry.value.printed()],
            };
            hosts.insert(entry.key.clone(), addresses);
        }
    } else {
        for item in crate::merge::sequence(node) {
            let text = item.printed();
            match text.split_once('=').or_else(|| text.split_once(':')) {
                Some((host, addresses)) => {
                    let known = hosts.entry(host.to_owned()).or_default();
                    known.extend(addresses.split(',').map(str::to_owned));
                }
                None => fields.tell(&item, format!("invalid additional host, missing IP: {text}")),
            }
        }
    }
    for (host, addresses) in &mut hosts {
        if host.is_empty() || host.contains([':', '=']) {
            fields.tell(node, format!("bad host name '{host}'"));
        }
        for address in addresses {
            if let Some(inner) = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                *address = inner.to_owned();
            }
        }
    }
    hosts
}

pub(super) fn ulimit(fields: Fields<'_>) -> Ulimit {
    let node = fields.node();
    match node.as_text() {
        Some(_) => match crate::schema::integer(&node.printed()) {
            Some(limit) => Ulimit::Single(limit),
            None => {
                fields.tell(node, format!("invalid ulimit: {}", node.printed()));
                Ulimit::Single(0)
            }
        },
        None => Ulimit::Both { soft: fields.integer("soft"), hard: fields.integer("hard") },
    }
}

pub(super) fn grant(fields: Fields<'_>) -> Grant {
    Grant {
        source: fields.text("source"),
        target: fields.text("target"),
        uid: fields.text("uid"),
        gid: fields.text("gid"),
        mode: fields.get("mode").and_then(|node| mode(fields, node)),
        extensions: fields.extensions(),
    }
}

/// A number is what YAML makes of it (`0440` is octal); a text is octal always.
fn mode(fields: Fields<'_>, node: &Node) -> Option<FileMode> {
    let mode = match &node.value {
        Value::Scalar { text, plain: true } => {
            crate::schema::integer(text).and_then(|m| u32::try_from(m).ok())
        }
        _ => {
            let text = node.printed();
            u32::from_str_radix(text.strip_prefix("0o").unwrap_or(&text), 8).ok()
        }
    };
    if mode.is_none() {
        fields.tell(node, format!("mode: invalid file mode: {}", node.printed()));
    }
    mode.map(FileMode)
}

/// A command: one string by the shell's quotes, or words; an empty list is not the same as nothing.
pub(super) fn command(fields: Fields<'_>, key: &str) -> Option<Vec<String>> {
    let node = fields.get(key)?;
    match &node.value {
        Value::List(list) => Some(list.iter().map(Node::printed).collect()),
        _ => match words::split(&node.printed()) {
            Ok(words) => Some(words),
            Err(error) => {
                fields.tell(node, format!("{key}: {error}: {}", node.printed()));
                None
            }
        },
    }
}

pub(super) fn hook(fields: Fields<'_>) -> Hook {
    Hook {
        command: command(fields, "command"),
        user: fields.text("user"),
        privileged: fields.switch("privileged"),
        working_dir: fields.text("working_dir"),
        environment: fields.maybe_pairs("environment"),
        extensions: fields.extensions(),
    }
}

pub(super) fn healthcheck(fields: Fields<'_>) -> Healthcheck {
    let test = match fields.get("test") {
        Some(node) if node.as_text().is_some() => vec!["CMD-SHELL".to_owned(), node.printed()],
        _ => fields.texts("test"),
    };
    Healthcheck {
        test,
        timeout: fields.maybe_duration("timeout"),
        interval: fields.maybe_duration("interval"),
        retries: fields.maybe_integer("retries"),
        start_period: fields.maybe_duration("start_period"),
        start_interval: fields.maybe_duration("start_interval"),
        disable: fields.switch("disable"),
        extensions: fields.extensions(),
    }
}

pub(super) fn develop(fields: Fields<'_>) -> Develop {
    Develop { watch: fields.each("watch", trigger), extensions: fields.extensions() }
}

fn trigger(fields: Fields<'_>) -> Trigger {
    Trigger {
        path: fields.text("path"),
        action: match fields.text("action").as_str() {
            "rebuild" => WatchAction::Rebuild,
            "restart" => WatchAction::Restart,
            "sync+restart" => WatchAction::SyncRestart,
            "sync+exec" => WatchAction::SyncExec,
            _ => WatchAction::Sync,
        },
        target: fields.text("target"),
        exec: fields.under("exec", hook),
        include: fields.texts("include"),
        ignore: fields.texts("ignore"),
        initial_sync: fields.switch("initial_sync"),
        extensions: fields.extensions(),
    }
}

pub(super) fn device_request(fields: Fields<'_>) -> DeviceRequest {
    let count = match fields.text("count").as_str() {
        "" => 0,
        all if all.eq_ignore_ascii_case("all") => -1,
        other => other.parse().unwrap_or_else(|_| {
            let message = format!("invalid value {other:?}, the only value allowed is 'all' or a number");
            fields.tell(fields.node(), message);
            0
        }),
    };
    DeviceRequest {
        capabilities: fields.texts("capabilities"),
        driver: fields.text("driver"),
        count,
        device_ids: fields.texts("device_ids"),
        options: fields.pairs("options"),
    }
}

pub(super) fn deploy(fields: Fields<'_>) -> Deploy {
    Deploy {
        mode: fields.text("mode"),
        replicas: fields.maybe_integer("replicas"),
        labels: fields.pairs("labels"),
        update_config: fields.under("update_config", rolling),
        rollback_config: fields.under("rollback_config", rolling),
        resources: fields
            .under("resources", |fields| Resources {
                limits: fields.under("limits", resource),
                reservations: fields.under("reservations", resource),
                extensions: fields.extensions(),
            })
            .unwrap_or_default(),
        restart_policy: fields.under("restart_policy", |fields| RestartPolicy {
            condition: fields.text("condition"),
            delay: fields.maybe_duration("delay"),
            max_attempts: fields.maybe_integer("max_attempts"),
            window: fields.maybe_duration("window"),
            extensions: fields.extensions(),
        }),
        placement: fields
            .under("placement", |fields| Placement {
                constraints: fields.texts("constraints"),
                spread: fields.each("preferences", |fields| fields.text("spread")),
                max_replicas_per_node: fields.integer("max_replicas_per_node"),
            })
            .unwrap_or_default(),
        endpoint_mode: fields.text("endpoint_mode"),
        extensions: fields.extensions(),
    }
}

fn rolling(fields: Fields<'_>) -> RollingUpdate {
    RollingUpdate {
        parallelism: fields.maybe_integer("parallelism"),
        delay: fields.duration("delay"),
        failure_action: fields.text("failure_action"),
        monitor: fields.duration("monitor"),
        max_failure_ratio: fields.number("max_failure_ratio"),
        order: match fields.text("order").as_str() {
            "start-first" => Some(UpdateOrder::StartFirst),
            "stop-first" => Some(UpdateOrder::StopFirst),
            _ => None,
        },
        extensions: fields.extensions(),
    }
}

fn resource(fields: Fields<'_>) -> Resource {
    Resource {
        cpus: fields.number("cpus"),
        memory: fields.size("memory"),
        pids: fields.integer("pids"),
        devices: fields.each("devices", device_request),
        generic_resources: fields.each("generic_resources", |fields| {
            let spec = fields.under("discrete_resource_spec", |fields| GenericResource {
                kind: fields.text("kind"),
                value: fields.integer("value"),
            });
            spec.unwrap_or_default()
        }),
        extensions: fields.extensions(),
    }
}

pub(super) fn blkio(fields: Fields<'_>) -> Blkio {
    let rates = |key: &str| {
        fields.each(key, |fields| Throttle { path: fields.text("path"), rate: fields.size("rate") })
    };
    Blkio {
        weight: fields.integer("weight"),
        weight_device: fields.each("weight_device", |fields| WeightOfDevice {
            path: fields.text("path"),
            weight: fields.integer("weight"),
        }),
        device_read_bps: rates("device_read_bps"),
        device_read_iops: rates("device_read_iops"),
        device_write_bps: rates("device_write_bps"),
        device_write_iops: rates("device_write_iops"),
        extensions: fields.extensions(),
    }
}

pub(super) fn port(fields: Fields<'_>) -> Port {
    let target = fields.integer("target");
    if target == 0 && fields.has("target") {
        fields.tell(fields.node(), "ports: a container's port is between 1 and 65535");
    }
    Port {
        name: fields.text("name"),
        mode: fields.text("mode"),
        host_ip: fields.text("host_ip"),
        target,
        published: fields.text("published"),
        protocol: fields.text("protocol"),
        app_protocol: fields.text("app_protocol"),
        extensions: fields.extensions(),
    }
}

pub(super) fn mount(fields: Fields<'_>) -> Mount {
    Mount {
        kind: match fields.text("type").as_str() {
            "bind" => MountKind::Bind,
            "tmpfs" => MountKind::Tmpfs,
            "npipe" => MountKind::NamedPipe,
            "cluster" => MountKind::Cluster,
            "image" => MountKind::Image,
            _ => MountKind::Volume,
        },
        source: fields.text("source"),
        target: fields.text("target"),
        read_only: fields.switch("read_only"),
        consistency: fields.text("consistency"),
        bind: fields.under("bind", |fields| BindOptions {
            selinux: fields.text("selinux"),
            propagation: fields.text("propagation"),
            create_host_path: fields.switch("create_host_path"),
            recursive: fields.text("recursive"),
            extensions: fields.extensions(),
        }),
        volume: fields.under("volume", |fields| VolumeOptions {
            labels: fields.pairs("labels"),
            nocopy: fields.switch("nocopy"),
            subpath: fields.text("subpath"),
            extensions: fields.extensions(),
        }),
        tmpfs: fields.under("tmpfs", |fields| TmpfsOptions {
            size: fields.size("size"),
            mode: fields.integer("mode"),
            extensions: fields.extensions(),
        }),
        image: fields.under("image", |fields| ImageOptions {
            subpath: fields.text("subpath"),
            extensions: fields.extensions(),
        }),
        extensions: fields.extensions(),
    }
}
