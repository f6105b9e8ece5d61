//! What Compose adds to a joined file: the default network, names of resources, dependencies that other attributes
//! imply, and values that the environment gives.

use std::collections::BTreeMap;

use crate::path;
use crate::tree::{Map, Node, Value};

type Environment = BTreeMap<String, String>;

/// Where a secret's value from the environment stands until the project has its types.
pub(crate) const VALUE: &str = "x-#value";

/// Gives bare names in lists of `environment` their values, and secrets and configs theirs: what an included file's own
/// environment holds is known only here.
pub(crate) fn listed_environment(whole: &mut Node, environment: &Environment) {
    for entry in below(whole, "services") {
        let listed = entry.as_map_mut().and_then(|map| map.get_mut("environment"));
        if let Some(Node { value: Value::List(list), .. }) = listed {
            for item in list {
                let text = item.printed();
                if let Some(value) = environment.get(&text) {
                    *item = Node::of_text(format!("{text}={value}"), &item.at);
                }
            }
        }
    }
    for (kind, key) in [("secrets", VALUE), ("configs", "content")] {
        for resource in below(whole, kind) {
            let at = resource.at.clone();
            let Some(map) = resource.as_map_mut() else { continue };
            let name = map.get("environment").map(Node::printed);
            if let Some(value) = name.and_then(|name| environment.get(&name)) {
                map.set(key, &at, Node::of_text(value, &at));
            }
        }
    }
}

fn below<'a>(whole: &'a mut Node, key: &str) -> impl Iterator<Item = &'a mut Node> {
    let map = whole.as_map_mut().and_then(|map| map.get_mut(key)).and_then(Node::as_map_mut);
    map.into_iter().flat_map(Map::iter_mut).map(|entry| &mut entry.value)
}

/// Writes out everything that Compose takes for granted.
pub(crate) fn normalize(whole: &mut Node, name: &str, environment: &Environment) {
    let at = whole.at.clone();
    if let Some(map) = whole.as_map_mut() {
        map.set("name", &at, Node::of_text(name, &at));
    }
    default_network(whole);
    for service in below(whole, "services") {
        service_of(service, environment);
    }
    for kind in ["networks", "volumes", "configs", "secrets"] {
        resource_names(whole, kind, name);
    }
}

fn default_network(whole: &mut Node) {
    let at = whole.at.clone();
    let mut used = false;
    for service in below(whole, "services") {
        let at = service.at.clone();
        let Some(map) = service.as_map_mut() else { continue };
        if map.get("provider").is_some() || map.get("network_mode").is_some() {
            continue;
        }
        match map.get("networks").and_then(Node::as_map) {
            Some(networks) if !networks.is_empty() => used |= networks.get("default").is_some(),
            _ => {
                map.set("networks", &at, Node::of_map([("default", Node::null(&at))], &at));
                used = true;
            }
        }
    }
    let Some(map) = whole.as_map_mut() else { return };
    if used && map.get("networks").and_then(Node::as_map).is_none() {
        map.set("networks", &at, Node::of_map([], &at));
    }
    if let Some(networks) = map.get_mut("networks").and_then(Node::as_map_mut)
        && used
        && networks.get("default").is_none()
    {
        networks.set("default", &at, Node::null(&at));
    }
}

fn service_of(service: &mut Node, environment: &Environment) {
    let at = service.at.clone();
    let Some(map) = service.as_map_mut() else { return };
    if map.get("pull_policy").is_some_and(|policy| policy.printed() == "if_not_present") {
        map.set("pull_policy", &at, Node::of_text("missing", &at));
    }
    if let Some(build) = map.get_mut("build").and_then(Node::as_map_mut) {
        if build.get("context").is_none_or(Node::is_null) {
            build.set("context", &at, Node::of_text(".", &at));
        }
        if build.get("dockerfile").is_none_or(Node::is_null) && build.get("dockerfile_inline").is_none() {
            build.set("dockerfile", &at, Node::of_text("Dockerfile", &at));
        }
        if let Some(args) = build.get_mut("args") {
            resolve(args, environment, false);
        }
    }
    if let Some(values) = map.get_mut("environment") {
        resolve(values, environment, true);
    }
    if let Some(Node { value: Value::List(list), .. }) = map.get_mut("volumes") {
        for mount in list.iter_mut().filter_map(Node::as_map_mut) {
            if let Some(target) = mount.get_mut("target") {
                *target = Node::of_text(path::clean(&target.printed()), &target.at);
            }
        }
    }
    imply(map, &at);
}

/// `links`, `network_mode: service:` and their like, and `volumes_from` make a service depend on another.
fn imply(map: &mut Map, at: &crate::tree::Position) {
    let mut implied: Vec<(String, &str)> = Vec::new();
    let list = |key: &str| map.get(key).and_then(Node::as_list).unwrap_or_default();
    for link in list("links") {
        let text = link.printed();
        let parts: Vec<&str> = text.split(':').collect();
        let name = if parts.len() == 2 { parts[0] } else { text.as_str() };
        implied.push((name.to_owned(), "true"));
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let shared = map.get(key).map(Node::printed);
        if let Some(service) = shared.as_deref().and_then(|text| text.strip_prefix("service:")) {
            implied.push((service.to_owned(), "true"));
        }
    }
    for from in list("volumes_from") {
        let text = from.printed();
        if !text.starts_with("container:") {
            let name = text.split(':').next().unwrap_or_default();
            implied.push((name.to_owned(), "false"));
        }
    }
    if implied.is_empty() {
        return;
    }
    if map.get("depends_on").and_then(Node::as_map).is_none() {
        map.set("depends_on", at, Node::of_map([], at));
    }
    let Some(depends_on) = map.get_mut("depends_on").and_then(Node::as_map_mut) else { return };
    for (name, restart) in implied {
        if depends_on.get(&name).is_none() {
            let dependency = Node::of_map(
                [
                    ("condition", Node::of_text("service_started", at)),
                    ("restart", Node::of_plain(restart, at)),
                    ("required", Node::of_plain("true", at)),
                ],
                at,
            );
            depends_on.set(&name, at, dependency);
        }
    }
}

/// Gives names without a value the environment's; `keep` says whether those that it does not have stay.
fn resolve(node: &mut Node, environment: &Environment, keep: bool) {
    match &mut node.value {
        Value::Map(map) => {
            let bare: Vec<String> =
                map.iter().filter(|entry| entry.value.is_null()).map(|entry| entry.key.clone()).collect();
            for name in bare {
                match environment.get(&name) {
                    Some(value) => {
                        let at = map.get(&name).map(|node| node.at.clone()).unwrap_or_default();
                        map.set(&name, &at, Node::of_text(value, &at));
                    }
                    None if !keep => {
                        map.remove(&name);
                    }
                    None => {}
                }
            }
        }
        Value::List(list) => list.retain_mut(|item| {
            let text = item.printed();
            match environment.get(&text) {
                _ if text.contains('=') => true,
                Some(value) => {
                    *item = Node::of_text(format!("{text}={value}"), &item.at);
                    true
                }
                None => keep,
            }
        }),
        _ => {}
    }
}

fn resource_names(whole: &mut Node, kind: &str, project: &str) {
    let Some(resources) = whole.as_map_mut().and_then(|map| map.get_mut(kind)).and_then(Node::as_map_mut)
    else {
        return;
    };
    for entry in resources.iter_mut() {
        let at = entry.value.at.clone();
        if entry.value.is_null() {
            entry.value = Node::of_map([], &at);
        }
        let Some(map) = entry.value.as_map_mut() else { continue };
        if map.get("name").is_none_or(Node::is_null) {
            let external = map.get("external").and_then(|value| crate::schema::switch(&value.printed()));
            let name =
                if external == Some(true) { entry.key.clone() } else { format!("{project}_{}", entry.key) };
            map.set("name", &at, Node::of_text(name, &at));
        }
    }
}
