//! Short forms to long ones, so that files join whatever form each has, and the defaults that Compose writes out.

use crate::merge::{keyed_by_equals, named, started};
use crate::short;
use crate::tree::{FileError, Map, Node, Position, Value};

/// How strictly short forms are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// What cannot be read is refused.
    Strict,
    /// What cannot be read stays as it is: variables stand in it.
    Lenient,
}

/// Gives everything below `node` its long form.
pub(crate) fn canonical(node: &mut Node, path: &[&str], strict: Strictness) -> Result<(), FileError> {
    if node.is_null() {
        return Ok(());
    }
    if let Some(long) = long_form(node, path, strict)? {
        *node = long;
    }
    match &mut node.value {
        Value::Map(map) => {
            for entry in map.iter_mut() {
                canonical(&mut entry.value, &[path, &[entry.key.as_str()]].concat(), strict)?;
            }
            Ok(())
        }
        Value::List(list) => {
            list.iter_mut().try_for_each(|item| canonical(item, &[path, &["[]"]].concat(), strict))
        }
        _ => Ok(()),
    }
}

fn long_form(node: &Node, path: &[&str], strict: Strictness) -> Result<Option<Node>, FileError> {
    let at = &node.at;
    let text = node.as_text();
    let form = match (path, text) {
        (["services", _, "build"], Some(_)) => Node::of_map([("context", node.clone())], at),
        (["services", _, "extends"], Some(_)) => Node::of_map([("service", node.clone())], at),
        (["services", _, "build", "provenance" | "sbom"], Some(_)) => Node::of_text(node.printed(), at),
        (["services", _, "label_file" | "dns"], Some(_)) => list_of(node.clone(), at),
        (["services", _, "develop", "watch", _, "ignore" | "include"], Some(_)) => list_of(node.clone(), at),
        (["services", _, "env_file"], Some(_)) => list_of(env_file(node), at),
        (["services", _, "env_file", _], _) => env_file(node),
        (["services", _, "gpus"], Some(_)) => {
            list_of(Node::of_map([("count", Node::of_text("all", at))], at), at)
        }
        (["services", _, "secrets" | "configs", _] | ["services", _, "build", "secrets", _], Some(_)) => {
            Node::of_map([("source", node.clone())], at)
        }
        (["services", _, "depends_on"], None) => depends_on(node)?,
        (["services", _, "networks" | "models"], None) => named(node, Node::null),
        (["services", _, "build", "ssh"], None) => keyed_by_equals(node),
        (["services", _, "build", "additional_contexts"], None) => contexts(node, strict)?,
        (["services", _, "ports"], None) => ports(node, strict)?,
        (["services", _, "volumes", _], Some(text)) => return told(mount(text, at), at, strict),
        (["services", _, "devices", _], Some(text)) => return told(device(text, at), at, strict),
        (["volumes" | "networks" | "secrets" | "configs", _], None) => external(node, path)?,
        _ => return Ok(None),
    };
    Ok(Some(form))
}

fn told(form: Result<Node, String>, at: &Position, strict: Strictness) -> Result<Option<Node>, FileError> {
    match form {
        Ok(node) => Ok(Some(node)),
        Err(_) if strict == Strictness::Lenient => Ok(None),
        Err(message) => Err(FileError::new(at, message)),
    }
}

fn list_of(node: Node, at: &Position) -> Node {
    Node::of(Value::List(vec![node]), at)
}

fn env_file(node: &Node) -> Node {
    let required = Node::of_plain("true", &node.at);
    let mut node = match node.value {
        Value::Map(_) => node.clone(),
        _ => Node::of_map([("path", node.clone())], &node.at),
    };
    let at = node.at.clone();
    if let Some(map) = node.as_map_mut()
        && map.get("required").is_none()
    {
        map.set("required", &at, required);
    }
    node
}

fn depends_on(node: &Node) -> Result<Node, FileError> {
    let mut node = named(node, started);
    for entry in node.as_map_mut().into_iter().flat_map(Map::iter_mut) {
        let at = entry.value.at.clone();
        let defaults = started(&at);
        let Some(map) = entry.value.as_map_mut() else {
            let message = format!("depends_on.{} must be a mapping", entry.key);
            return Err(FileError::new(&at, message));
        };
        for default in defaults.as_map().into_iter().flat_map(Map::iter) {
            if map.get(&default.key).is_none() {
                map.set(&default.key, &at, default.value.clone());
            }
        }
    }
    Ok(node)
}

fn contexts(node: &Node, strict: Strictness) -> Result<Node, FileError> {
    let wrong = node.as_list().and_then(|list| list.iter().find(|item| !item.printed().contains('=')));
    match (wrong, strict) {
        (Some(_), Strictness::Lenient) => Ok(node.clone()),
        (Some(item), Strictness::Strict) => {
            let message = format!("invalid value {}, expected key=value", item.printed());
            Err(FileError::new(&item.at, message))
        }
        (None, _) => Ok(keyed_by_equals(node)),
    }
}

fn ports(node: &Node, strict: Strictness) -> Result<Node, FileError> {
    let Some(list) = node.as_list() else { return Ok(node.clone()) };
    let mut ports = Vec::with_capacity(list.len());
    for item in list {
        let Value::Scalar { .. } = item.value else {
            ports.push(item.clone());
            continue;
        };
        match short::ports(&item.printed()) {
            Ok(short) => ports.extend(short.into_iter().map(|port| long_port(port, &item.at))),
            Err(_) if strict == Strictness::Lenient => return Ok(node.clone()),
            Err(message) => return Err(FileError::new(&item.at, message)),
        }
    }
    Ok(Node::of(Value::List(ports), &node.at))
}

fn long_port(port: short::ShortPort, at: &Position) -> Node {
    let text = |text: String| Node::of_text(text, at);
    let mut node = Node::of_map(
        [
            ("mode", text("ingress".to_owned())),
            ("target", Node::of_plain(port.target.to_string(), at)),
            ("protocol", text(port.protocol)),
        ],
        at,
    );
    if let Some(map) = node.as_map_mut() {
        for (key, value) in [("host_ip", port.host_ip), ("published", port.published)] {
            if !value.is_empty() {
                map.set(key, at, text(value));
            }
        }
    }
    node
}

fn mount(text: &str, at: &Position) -> Result<Node, String> {
    let short = short::mount(text)?;
    let is_path = short::is_path(&short.source);
    let mut map = Map::default();
    let mut set = |key: &str, value: Node| map.set(key, at, value);
    let word = |word: &str| Node::of_text(word, at);
    set("type", word(if is_path { "bind" } else { "volume" }));
    if !short.source.is_empty() {
        set("source", word(&short.source));
    }
    if !short.target.is_empty() {
        set("target", word(&crate::path::clean(&short.target)));
    }
    if short.read_only {
        set("read_only", Node::of_plain("true", at));
    }
    let mut bind = Map::default();
    for (key, value) in [("selinux", &short.selinux), ("propagation", &short.propagation)] {
        if !value.is_empty() {
            bind.set(key, at, word(value));
        }
    }
    if is_path {
        bind.set("create_host_path", at, Node::of_plain("true", at));
    }
    if is_path || !bind.is_empty() {
        set("bind", Node::of(Value::Map(bind), at));
    }
    let mut volume = Map::default();
    if short.nocopy {
        volume.set("nocopy", at, Node::of_plain("true", at));
    }
    if !is_path && !short.tiny || short.nocopy {
        set("volume", Node::of(Value::Map(volume), at));
    }
    Ok(Node::of(Value::Map(map), at))
}

fn device(text: &str, at: &Position) -> Result<Node, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, target] => (source, target, "rwm"),
        [source, target, permissions] => (source, target, permissions),
        _ => return Err(format!("confusing device mapping, please use long syntax: {text}")),
    };
    let target = if target.is_empty() { source } else { target };
    let word = |word: &str| Node::of_text(word, at);
    Ok(Node::of_map(
        [("source", word(source)), ("target", word(target)), ("permissions", word(permissions))],
        at,
    ))
}

/// `external: { name: x }` of older files is `external: true` and `name: x`.
fn external(node: &Node, path: &[&str]) -> Result<Node, FileError> {
    let mut node = node.clone();
    let Some(map) = node.as_map_mut() else { return Ok(node) };
    let Some(Node { value: Value::Map(external), at, .. }) = map.get("external").cloned() else {
        return Ok(node);
    };
    map.set("external", &at, Node::of_plain("true", &at));
    if let Some(theirs) = external.get("name") {
        match map.get("name") {
            Some(mine) if mine.printed() != theirs.printed() => {
                let path = path.join(".");
                let message = format!("{path}: name and external.name conflict; only use name");
                return Err(FileError::new(&theirs.at, message));
            }
            _ => map.set("name", &at, theirs.clone()),
        }
    }
    Ok(node)
}

/// Writes out what Compose takes for granted.
pub(crate) fn defaults(node: &mut Node, path: &[&str]) {
    let at = node.at.clone();
    if let Value::Map(map) = &mut node.value {
        let absent = |map: &Map, key: &str| map.get(key).is_none();
        match path {
            ["services", _, "build"] if absent(map, "context") => {
                map.set("context", &at, Node::of_text(".", &at))
            }
            ["services", _, "secrets", _] if absent(map, "target") => {
                let source = map.get("source").map(Node::printed).unwrap_or_default();
                map.set("target", &at, Node::of_text(format!("/run/secrets/{source}"), &at));
            }
            ["services", _, "ports", _] => {
                for (key, value) in [("protocol", "tcp"), ("mode", "ingress")] {
                    if absent(map, key) {
                        map.set(key, &at, Node::of_text(value, &at));
                    }
                }
            }
            ["services", _, "gpus", _]
            | ["services", _, "deploy", "resources", "reservations", "devices", _]
                if absent(map, "count") && absent(map, "device_ids") =>
            {
                map.set("count", &at, Node::of_text("all", &at));
            }
            _ => {}
        }
    }
    match &mut node.value {
        Value::Map(map) => map
            .iter_mut()
            .for_each(|entry| defaults(&mut entry.value, &[path, &[entry.key.as_str()]].concat())),
        Value::List(list) => list.iter_mut().for_each(|item| defaults(item, &[path, &["[]"]].concat())),
        _ => {}
    }
}
