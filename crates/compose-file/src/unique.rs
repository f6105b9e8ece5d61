//! What is given twice in a list counts once: the later one, in the place of the earlier.
//!
//! Source: the Compose specification, `13-merge.md`, "unique resources": ports, volumes, secrets, configs, devices by
//! what they stand for in the container, `name=value` by the name.

use std::collections::HashMap;

use crate::short;
use crate::tree::{FileError, Node, Value};

/// Drops from every list below `node` what a later item replaces.
pub(crate) fn enforce(node: &mut Node, path: &[&str]) -> Result<(), FileError> {
    match &mut node.value {
        Value::Map(map) => map
            .iter_mut()
            .try_for_each(|entry| enforce(&mut entry.value, &[path, &[entry.key.as_str()]].concat())),
        Value::List(list) => {
            let Some(key) = key_of(path) else { return Ok(()) };
            let mut kept: Vec<Node> = Vec::with_capacity(list.len());
            let mut seen: HashMap<String, usize> = HashMap::new();
            for item in list.drain(..) {
                let place = seen.entry(key(&item)?).or_insert(kept.len());
                match kept.get_mut(*place) {
                    Some(old) => *old = item,
                    None => kept.push(item),
                }
            }
            *list = kept;
            Ok(())
        }
        _ => Ok(()),
    }
}

type Key = fn(&Node) -> Result<String, FileError>;

fn key_of(path: &[&str]) -> Option<Key> {
    Some(match *path {
        ["networks", _, "labels"] | ["networks", _, "ipam", "options"] => name,
        ["services", _, "build", "args" | "additional_contexts" | "tags" | "labels"] => name,
        ["services", _, "deploy", "labels"] => name,
        ["services", _, "networks", _, "aliases" | "link_local_ips"] => name,
        ["services", _, attribute] => match attribute {
            "annotations" | "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "environment"
            | "expose" | "labels" | "links" | "profiles" | "sysctls" | "tmpfs" => name,
            "configs" => config,
            "secrets" => secret,
            "env_file" => env_file,
            "ports" => port,
            "volumes" => volume,
            "devices" => device,
            _ => return None,
        },
        _ => return None,
    })
}

fn field(node: &Node, key: &str) -> Option<String> {
    node.as_map()?.get(key).map(Node::printed)
}

fn name(node: &Node) -> Result<String, FileError> {
    let text = node.printed();
    Ok(text.split_once('=').map_or(text.clone(), |(name, _)| name.to_owned()))
}

fn config(node: &Node) -> Result<String, FileError> {
    Ok(granted(node, ""))
}

fn secret(node: &Node) -> Result<String, FileError> {
    Ok(granted(node, "/run/secrets"))
}

fn granted(node: &Node, folder: &str) -> String {
    match node.value {
        Value::Map(_) => field(node, "target")
            .unwrap_or_else(|| format!("{folder}/{}", field(node, "source").unwrap_or_default())),
        _ => format!("{folder}/{}", node.printed()),
    }
}

fn env_file(node: &Node) -> Result<String, FileError> {
    match node.value {
        Value::Map(_) => field(node, "path")
            .ok_or_else(|| FileError::new(&node.at, "environment path attribute of env_file is missing")),
        _ => Ok(node.printed()),
    }
}

fn port(node: &Node) -> Result<String, FileError> {
    let Value::Map(_) = node.value else { return Ok(node.printed()) };
    let target = field(node, "target")
        .ok_or_else(|| FileError::new(&node.at, "a port of the long form is missing a target port"))?;
    let or = |key: &str, other: &str| field(node, key).unwrap_or_else(|| other.to_owned());
    Ok(format!("{}:{}:{target}/{}", or("host_ip", "0.0.0.0"), or("published", ""), or("protocol", "tcp")))
}

fn volume(node: &Node) -> Result<String, FileError> {
    let missing = || FileError::new(&node.at, "a volume of the long form is missing a mount target");
    match node.value {
        Value::Map(_) => field(node, "target").ok_or_else(missing),
        _ => short::mount(&node.printed())
            .map(|mount| mount.target)
            .map_err(|message| FileError::new(&node.at, message)),
    }
}

fn device(node: &Node) -> Result<String, FileError> {
    let missing = || FileError::new(&node.at, "a device of the long form is missing a target");
    match node.value {
        Value::Map(_) => field(node, "target").ok_or_else(missing),
        _ => {
            let text = node.printed();
            let mut parts = text.split(':');
            let source = parts.next().unwrap_or_default();
            Ok(parts.next().unwrap_or(source).to_owned())
        }
    }
}
