//! What of one resource rules out another: told for all of them at once.

use crate::tree::{FileError, Map, Node};

/// Everything that contradicts itself in a joined file.
pub(crate) fn problems(whole: &Node) -> Vec<FileError> {
    let mut problems = Vec::new();
    let Some(top) = whole.as_map() else { return problems };
    for (name, node) in below(top, "volumes") {
        external(node, &format!("volumes.{name}"), &mut problems);
    }
    for (kind, keys) in
        [("configs", &["file", "environment", "content"][..]), ("secrets", &["file", "environment"][..])]
    {
        for (name, node) in below(top, kind) {
            source(node, &format!("{kind}.{name}"), keys, &mut problems);
        }
    }
    for (name, node) in below(top, "services") {
        if let Some(service) = node.as_map() {
            service_problems(name, service, &mut problems);
        }
    }
    problems
}

fn below<'a>(map: &'a Map, key: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
    let entries = map.get(key).and_then(Node::as_map).into_iter().flat_map(Map::iter);
    entries.map(|entry| (entry.key.as_str(), &entry.value))
}

fn external(node: &Node, path: &str, problems: &mut Vec<FileError>) {
    let Some(map) = node.as_map() else { return };
    if map.get("external").is_none_or(|value| crate::schema::switch(&value.printed()) != Some(true)) {
        return;
    }
    for entry in map.iter().filter(|entry| !entry.key.starts_with("x-")) {
        if !matches!(entry.key.as_str(), "name" | "external") {
            let message =
                format!("{path}: conflicting parameters \"external\" and {:?} specified", entry.key);
            problems.push(FileError::new(&entry.at, message));
        }
    }
}

fn source(node: &Node, path: &str, keys: &[&str], problems: &mut Vec<FileError>) {
    let empty = Map::default();
    let map = node.as_map().unwrap_or(&empty);
    let given = keys.iter().filter(|key| map.get(key).is_some()).count();
    let words = keys.join("|");
    if given > 1 {
        problems.push(FileError::new(&node.at, format!("{path}: {words} attributes are mutually exclusive")));
    }
    if given == 0 && map.get("driver").is_none() && map.get("external").is_none() {
        problems.push(FileError::new(&node.at, format!("{path}: one of {words} must be set")));
    }
}

fn service_problems(name: &str, service: &Map, problems: &mut Vec<FileError>) {
    let list = |key: &str| service.get(key).and_then(Node::as_list).unwrap_or_default();
    for key in ["device_cgroup_rules", "external_links", "group_add", "security_opt", "volumes_from"] {
        doubles(&format!("services.{name}.{key}"), list(key), problems);
    }
    for port in list("ports") {
        let ip = port.as_map().and_then(|map| map.get("host_ip")).filter(|ip| !ip.is_null());
        if let Some(ip) = ip.filter(|ip| ip.printed().parse::<std::net::IpAddr>().is_err()) {
            let message = format!("services.{name}.ports: invalid ip address: {}", ip.printed());
            problems.push(FileError::new(&ip.at, message));
        }
    }
    let reserved = service
        .get("deploy")
        .and_then(|deploy| {
            deploy.as_map()?.get("resources")?.as_map()?.get("reservations")?.as_map()?.get("devices")
        })
        .and_then(Node::as_list)
        .unwrap_or_default();
    for request in list("gpus").iter().chain(reserved) {
        if let Some(map) = request.as_map()
            && map.get("count").is_some()
            && map.get("device_ids").is_some()
        {
            let message = format!("services.{name}: \"count\" and \"device_ids\" attributes are exclusive");
            problems.push(FileError::new(&request.at, message));
        }
    }
    for mount in list("volumes") {
        if let Some(map) = mount.as_map()
            && map.get("type").is_some_and(|kind| kind.printed() == "bind")
            && map.get("source").is_none()
        {
            let message = "invalid mount config for type \"bind\": field Source must not be empty";
            problems.push(FileError::new(&mount.at, message));
        }
    }
    let watch = service.get("develop").and_then(|develop| develop.as_map()?.get("watch")?.as_list());
    for trigger in watch.unwrap_or_default() {
        let path = trigger.as_map().and_then(|map| map.get("path"));
        if let Some(path) = path.filter(|path| path.printed().is_empty()) {
            let message = format!("services.{name}.develop.watch.path: value can't be blank");
            problems.push(FileError::new(&path.at, message));
        }
    }
}

/// What stands twice in a list that has no use for it.
fn doubles(path: &str, list: &[Node], problems: &mut Vec<FileError>) {
    for (index, item) in list.iter().enumerate() {
        if let Some(first) = list[..index].iter().position(|before| before.data() == item.data()) {
            let message = format!("{path} items at {first} and {index} are equal");
            problems.push(FileError::new(&item.at, message));
        }
    }
}
