//! What docker-compose 1.29 hashes of a service: its attributes as they are written, some of them read, as JSON with
//! sorted keys.

mod json;

use std::collections::BTreeMap;

use crate::project::{Data, Duration, NetworkMode, Project, Service, Size, Source};
use crate::short;
use crate::tree::{self, Map, Node, Value};

type Object = BTreeMap<String, Data>;

/// Attributes that the hash takes apart from the others, or leaves out.
const APART: [&str; 13] = [
    "networks",
    "links",
    "network_mode",
    "ipc",
    "pid",
    "volumes_from",
    "scale",
    "env_file",
    "extends",
    "secrets",
    "configs",
    "deploy",
    "pull_policy",
];
/// Attributes whose form in the hash is not known here, or that docker-compose 1.29 does not have.
const UNKNOWN: [&str; 15] = [
    "annotations",
    "attach",
    "cgroup",
    "credential_spec",
    "develop",
    "device_requests",
    "gpus",
    "label_file",
    "models",
    "post_start",
    "pre_stop",
    "provider",
    "pull_refresh_after",
    "use_api_socket",
    "uts",
];

/// Tells the id of a container that is named `service:db`, its first one, or `container:name`.
pub type Containers<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The text, where every attribute's form is known.
pub(crate) fn text(
    project: &Project,
    name: &str,
    image_id: Option<&str>,
    containers: Containers<'_>,
) -> Option<String> {
    let service = project.service(name)?;
    let written = project.written.get(name)?.as_map()?;
    let mut whole = Object::new();
    let image = image_id.map_or(Data::Null, word);
    whole.insert("image_id".to_owned(), image);
    whole.insert("options".to_owned(), Data::Map(options(project, service, written)?));
    whole.insert("links".to_owned(), links(service));
    whole.insert("secrets".to_owned(), Data::List(secrets(project, written)));
    whole.insert("volumes_from".to_owned(), volumes_from(service));
    whole.insert("ipc_mode".to_owned(), namespace(&service.ipc, containers)?);
    let networks = networks(project, written);
    whole.insert("net".to_owned(), net(project, service, &networks, containers)?);
    let networks = if service.network_mode.is_empty() { networks } else { Object::new() };
    whole.insert("networks".to_owned(), Data::Map(networks));
    let mut text = String::new();
    json::write(&Data::Map(whole), &mut text);
    Some(text)
}

fn word(text: &str) -> Data {
    Data::Text(text.to_owned())
}

fn options(project: &Project, service: &Service, written: &Map) -> Option<Object> {
    let mut options = Object::new();
    options.insert("device_requests".to_owned(), Data::Null);
    options.insert("platform".to_owned(), Data::Null);
    if !project.first_era {
        options.insert("volumes".to_owned(), Data::List(Vec::new()));
    }
    let counts = |key: &str| !APART.contains(&key) && !key.starts_with("x-");
    for entry in written.iter().filter(|entry| counts(&entry.key)) {
        if UNKNOWN.contains(&entry.key.as_str()) {
            return None;
        }
        options.insert(entry.key.clone(), option(project, service, &entry.key, &entry.value)?);
    }
    if written.get("environment").is_some() || written.get("env_file").is_some() {
        options.insert("environment".to_owned(), Data::Map(environment(service, written)));
    }
    if let Some(deploy) = written.get("deploy").and_then(Node::as_map) {
        deployed(deploy, &mut options);
    }
    Some(options)
}

/// What a single engine makes of `deploy`, under the names of the attributes that were there before it.
fn deployed(deploy: &Map, options: &mut Object) {
    let below = |map: Option<&Node>, key: &str| map?.as_map()?.get(key).map(old);
    let policy = deploy.get("restart_policy");
    if policy.is_some() {
        let condition =
            below(policy, "condition").map_or_else(|| "any".to_owned(), |c| crate::scalar::print(&c));
        let name = match condition.as_str() {
            "any" => "always",
            "none" => "no",
            other => other,
        };
        let count = below(policy, "max_attempts").unwrap_or(Data::Integer(0));
        let restart = [("Name".to_owned(), word(name)), ("MaximumRetryCount".to_owned(), count)];
        options.insert("restart".to_owned(), Data::Map(Object::from(restart)));
    }
    let resources = deploy.get("resources").and_then(Node::as_map);
    let limits = resources.and_then(|map| map.get("limits"));
    if limits.is_some() {
        options.insert("mem_limit".to_owned(), below(limits, "memory").unwrap_or(Data::Null));
        if let Some(cpus) = below(limits, "cpus").and_then(|cpus| crate::scalar::print(&cpus).parse().ok()) {
            options.insert("cpus".to_owned(), Data::Number(cpus));
        }
    }
    let reservations = resources.and_then(|map| map.get("reservations"));
    if reservations.is_some() {
        options.insert("mem_reservation".to_owned(), below(reservations, "memory").unwrap_or(Data::Null));
        let devices = reservations.and_then(|node| node.as_map()?.get("devices")?.as_list());
        if let Some(devices) = devices.filter(|devices| !devices.is_empty()) {
            options.insert("device_requests".to_owned(), Data::List(devices.iter().map(device).collect()));
        }
    }
}

fn device(node: &Node) -> Data {
    let Data::Map(mut device) = old(node) else { return old(node) };
    if matches!(device.get("count"), Some(Data::Text(_))) {
        device.insert("count".to_owned(), Data::Integer(-1));
    }
    if let Some(capabilities) = device.remove("capabilities") {
        device.insert("capabilities".to_owned(), Data::List(vec![capabilities]));
    }
    Data::Map(device)
}

/// The secrets that are files here, each as it is written and where it is.
fn secrets(project: &Project, written: &Map) -> Vec<Data> {
    let listed = written.get("secrets").and_then(Node::as_list).unwrap_or_default();
    let secret = |node: &Node| {
        let parts = match node.as_map() {
            None => [old(node), Data::Null, Data::Null, Data::Null, Data::Null, Data::Null],
            Some(map) => ["source", "target", "uid", "gid", "mode", "name"]
                .map(|key| map.get(key).map_or(Data::Null, old)),
        };
        let file = match &project.secrets.get(&crate::scalar::print(&parts[0]))?.source {
            Source::External => return None,
            Source::File(path) => word(path),
            _ => Data::Null,
        };
        let parts = ("secret".to_owned(), Data::List(parts.to_vec()));
        Some(Data::Map(Object::from([parts, ("file".to_owned(), file)])))
    };
    listed.iter().filter_map(secret).collect()
}

fn option(project: &Project, service: &Service, key: &str, node: &Node) -> Option<Data> {
    Some(match key {
        "ports" => Data::List(each(node, ports)?.into_iter().flatten().collect()),
        "volumes" => Data::List(each(node, |node| volume(project, node))?),
        "build" => build(service, node)?,
        "labels" | "sysctls" => Data::Map(texts(node)),
        "dns" | "dns_search" | "tmpfs" => Data::List(crate::merge::sequence(node).iter().map(old).collect()),
        "depends_on" => old(&crate::merge::named(node, |at| {
            Node::of_map([("condition", Node::of_text("service_started", at))], at)
        })),
        "healthcheck" => healthcheck(node)?,
        "blkio_config" => throttled(node),
        "restart" => restart(&node.printed()),
        "security_opt" => Data::List(each(node, |node| security(project, &node.printed()))?),
        _ => old(node),
    })
}

fn each<T>(node: &Node, read: impl Fn(&Node) -> Option<T>) -> Option<Vec<T>> {
    node.as_list()?.iter().map(read).collect()
}

/// A value by the rules of YAML 1.1, where `yes` and `off` are truth values.
fn old(node: &Node) -> Data {
    match &node.value {
        Value::Scalar { text, plain: true } => match text.as_str() {
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Data::Switch(true),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" => Data::Switch(false),
            _ => node.data(),
        },
        Value::List(list) => Data::List(list.iter().map(old).collect()),
        Value::Map(map) => {
            Data::Map(map.iter().map(|entry| (entry.key.clone(), old(&entry.value))).collect())
        }
        _ => node.data(),
    }
}

/// `name=value`s as a mapping; a mapping as it is.
fn pairs(node: &Node) -> Object {
    if let Value::Map(map) = &node.value {
        return map.iter().map(|entry| (entry.key.clone(), old(&entry.value))).collect();
    }
    let items = crate::merge::sequence(node);
    let pair = |item: &Node| {
        let text = item.printed();
        let (key, value) = text.split_once('=').unwrap_or((&text, ""));
        (key.to_owned(), word(value))
    };
    items.iter().map(pair).collect()
}

/// The same with every value as text.
fn texts(node: &Node) -> Object {
    let pairs = pairs(node).into_iter();
    pairs.map(|(key, value)| (key, word(&crate::scalar::print(&value)))).collect()
}

fn environment(service: &Service, written: &Map) -> Object {
    let own = written.get("environment").map(pairs).unwrap_or_default();
    let values = service.environment.iter().map(|(name, value)| {
        let told = value.as_ref().map_or(Data::Null, |value| word(value));
        let typed = own.get(name).filter(|own| value.is_some() && !matches!(own, Data::Null | Data::Text(_)));
        (name.clone(), typed.cloned().unwrap_or(told))
    });
    values.collect()
}

fn ports(node: &Node) -> Option<Vec<Data>> {
    let Some(text) = node.as_text() else {
        let map = node.as_map()?;
        let get = |key: &str| map.get(key).map_or(Data::Null, old);
        return Some(vec![Data::List(vec![
            get("target"),
            get("published"),
            get("protocol"),
            get("mode"),
            Data::Null,
        ])]);
    };
    let protocol = text.split_once('/').map_or(Data::Null, |(_, protocol)| word(protocol));
    let mut read = short::ports(text).ok()?;
    read.sort_by_key(|port| port.target);
    let port = |port: short::ShortPort| {
        let published = match port.published.parse::<i64>() {
            Ok(number) => Data::Integer(number),
            Err(_) if port.published.is_empty() => Data::Null,
            Err(_) => Data::Text(port.published),
        };
        let ip = if port.host_ip.is_empty() { Data::Null } else { Data::Text(port.host_ip) };
        Data::List(vec![Data::Integer(i64::from(port.target)), published, protocol.clone(), Data::Null, ip])
    };
    Some(read.into_iter().map(port).collect())
}

/// Rates in bytes and in operations, as numbers.
fn throttled(node: &Node) -> Data {
    let Data::Map(mut all) = old(node) else { return old(node) };
    for (key, rates) in all.iter_mut().filter(|(key, _)| key.starts_with("device_")) {
        let Data::List(rates) = rates else { continue };
        for rate in rates {
            let Data::Map(rate) = rate else { continue };
            let text = rate.get("rate").map(crate::scalar::print).unwrap_or_default();
            let number = match key.ends_with("_bps") {
                true => Size::parse(&text).map_or(0, |size| size.0),
                false => text.parse().unwrap_or_default(),
            };
            rate.insert("rate".to_owned(), Data::Integer(number));
        }
    }
    Data::Map(all)
}

/// The long form: what is said of the mount, and the options of its kind.
fn mount(project: &Project, map: &Map) -> Option<Data> {
    let kind = map.get("type")?.printed();
    let mut mount = Object::new();
    for key in ["type", "source", "target", "read_only", "consistency", &kind] {
        let Some(value) = map.get(key).map(old) else { continue };
        let empty = match &value {
            Data::Null | Data::Switch(false) => true,
            Data::Text(text) => text.is_empty(),
            Data::Map(map) => map.is_empty(),
            _ => false,
        };
        if !empty {
            mount.insert(key.to_owned(), value);
        }
    }
    if let Some(Data::Text(source)) = mount.get("source") {
        let home = project.environment.get("HOME").map(String::as_str);
        let source = match kind.as_str() {
            "volume" => project.volumes.get(source)?.name.clone(),
            "bind" if source.starts_with(['.', '~']) => {
                crate::relative::Ground { folder: &project.working_dir, home }.path(source)
            }
            _ => crate::path::clean(source),
        };
        mount.insert("source".to_owned(), word(&source));
    }
    Some(Data::Map(mount))
}

fn volume(project: &Project, node: &Node) -> Option<Data> {
    if let Some(map) = node.as_map() {
        return mount(project, map);
    }
    let text = node.as_text()?;
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [target] => (None, target, "rw"),
        [source, target] => (Some(source), target, "rw"),
        [source, target, mode] => (Some(source), target, mode),
        _ => return None,
    };
    let source = match source {
        None => Data::Null,
        Some(path) if short::is_path(path) => {
            let home = project.environment.get("HOME").map(String::as_str);
            word(&crate::relative::Ground { folder: &project.working_dir, home }.path(path))
        }
        Some(name) => word(&project.volumes.get(name)?.name),
    };
    Some(Data::List(vec![source, word(&crate::path::clean(target)), word(mode)]))
}

fn build(service: &Service, node: &Node) -> Option<Data> {
    let context = &service.build.as_ref()?.context;
    let Data::Map(mut build) = old(node) else {
        return Some(Data::Map(Object::from([("context".to_owned(), word(context))])));
    };
    if build.contains_key("context") {
        build.insert("context".to_owned(), word(context));
    }
    if build.contains_key("args") {
        let args = service.build.iter().flat_map(|build| &build.args);
        let args = args.map(|(name, value)| (name.clone(), word(value.as_deref().unwrap_or_default())));
        build.insert("args".to_owned(), Data::Map(args.collect()));
    }
    if let Some(labels) = node.as_map()?.get("labels") {
        build.insert("labels".to_owned(), Data::Map(texts(labels)));
    }
    Some(Data::Map(build))
}

fn healthcheck(node: &Node) -> Option<Data> {
    let Data::Map(mut check) = old(node) else { return None };
    if check.remove("disable").is_some() {
        check.insert("test".to_owned(), Data::List(vec![word("NONE")]));
    }
    for key in ["interval", "timeout", "start_period"] {
        if let Some(Data::Text(text)) = check.get(key) {
            let span = Duration::parse(text).ok()?;
            check.insert(key.to_owned(), Data::Integer(span.0));
        }
    }
    Some(Data::Map(check))
}

fn restart(text: &str) -> Data {
    if text.is_empty() {
        return Data::Null;
    }
    let (name, count) = text.split_once(':').unwrap_or((text, "0"));
    let count = Data::Integer(count.parse().unwrap_or_default());
    Data::Map(Object::from([("Name".to_owned(), word(name)), ("MaximumRetryCount".to_owned(), count)]))
}

fn links(service: &Service) -> Data {
    let pair = |link: &String| {
        let (name, alias) = link.split_once(':').map_or((link.as_str(), Data::Null), |(n, a)| (n, word(a)));
        Data::List(vec![word(name), alias])
    };
    Data::List(service.links.iter().map(pair).collect())
}

fn volumes_from(service: &Service) -> Data {
    let services = service.volumes_from.iter().filter(|from| !from.starts_with("container:"));
    let pair = |from: &String| {
        let (name, mode) = from.split_once(':').unwrap_or((from, "rw"));
        Data::List(vec![word(name), word(mode)])
    };
    Data::List(services.map(pair).collect())
}

fn namespace(mode: &str, containers: Containers<'_>) -> Option<Data> {
    match mode {
        "" => Some(Data::Null),
        // One that has no container yet has no id either.
        shared if shared.starts_with("service:") => {
            Some(containers(shared).map_or(Data::Null, |id| word(&format!("container:{id}"))))
        }
        shared if shared.starts_with("container:") => {
            Some(word(&format!("container:{}", containers(shared)?)))
        }
        mode => Some(word(mode)),
    }
}

/// An option and the file it was read of: a seccomp profile stands in it as Python writes it.
fn security(project: &Project, text: &str) -> Option<Data> {
    let path = crate::project::seccomp_file(text);
    let Some(path) = path else { return Some(Data::List(vec![word(text), Data::Null])) };
    let profile = tree::read(path, project.seccomp.get(path)?).ok()?.into_iter().next()?;
    let mut written = String::new();
    json::document(&profile, &mut written);
    Some(Data::List(vec![word(&format!("seccomp={written}")), word(path)]))
}

/// The networks by the engine's names, as they are written.
fn networks(project: &Project, written: &Map) -> Object {
    if project.first_era {
        return Object::new();
    }
    let named = written.get("networks").map(|node| crate::merge::named(node, Node::null));
    let entries: Vec<(String, Data)> = match named.as_ref().and_then(Node::as_map) {
        Some(map) => map.iter().map(|entry| (entry.key.clone(), old(&entry.value))).collect(),
        None => vec![("default".to_owned(), Data::Null)],
    };
    let named = entries.into_iter().filter_map(|(name, options)| {
        let options = if options == Data::Null { Data::Map(Object::new()) } else { options };
        Some((project.networks.get(&name)?.name.clone(), options))
    });
    named.collect()
}

fn net(project: &Project, service: &Service, networks: &Object, containers: Containers<'_>) -> Option<Data> {
    let priority = |options: &Data| match options {
        Data::Map(map) => match map.get("priority") {
            Some(Data::Integer(number)) => *number,
            _ => 0,
        },
        _ => 0,
    };
    Some(match service.network() {
        NetworkMode::Container(name) => word(&containers(&format!("container:{name}"))?),
        NetworkMode::Service(name) => word(&name),
        NetworkMode::Engine(mode) => word(&mode),
        NetworkMode::Project if project.first_era => Data::Null,
        NetworkMode::Project => {
            // The highest priority; of equals the first by name.
            let first = networks.iter().rev().max_by_key(|(_, options)| priority(options));
            word(first.map_or("none", |(name, _)| name))
        }
    })
}
