//! Joins what one file says with what an earlier one (or an extended service) said.
//!
//! Source: the Compose specification, `13-merge.md`: mappings join key by key, lists grow, some attributes are replaced
//! and some are lists of `name=value` whatever form they have. `!reset` takes away, `!override` replaces.

use crate::tree::{FileError, Join, Map, Node, Position, Value};

/// What `over` makes of `base`, both at `path` (`services`, `web`, `labels`).
pub(crate) fn merge(base: Node, over: Node, path: &[&str]) -> Result<Node, FileError> {
    if over.join == Join::Override {
        return Ok(settled(over));
    }
    match *path {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] => {
            Ok(settled(over))
        }
        ["services", _, "ulimits", _] => Ok(settled(over)),
        ["networks" | "volumes", _, "labels"]
        | ["services", _, "annotations" | "dns" | "dns_opt" | "dns_search" | "env_file" | "label_file"]
        | ["services", _, "environment" | "labels" | "sysctls" | "tmpfs"]
        | ["services", _, "build", "args" | "additional_contexts" | "labels"]
        | ["services", _, "deploy", "labels"] => sequences(base, over, false),
        ["services", _, "extra_hosts"] | ["services", _, "build", "extra_hosts"] => {
            sequences(base, over, true)
        }
        ["services", _, "build"] => both(base, over, path, |node| match node.value {
            Value::Scalar { .. } => {
                let at = node.at.clone();
                Node::of_map([("context", node)], &at)
            }
            _ => node,
        }),
        ["services", _, "build", "ssh"] => both(base, over, path, |node| keyed_by_equals(&node)),
        ["services", _, "depends_on"] => both(base, over, path, |node| named(&node, started)),
        ["services", _, "models" | "networks"] => both(base, over, path, |node| named(&node, Node::null)),
        ["services", _, "logging"] => logging(base, over, path),
        ["networks", _, "ipam", "config"] => pools(base, over, path),
        _ => usual(base, over, path),
    }
}

fn usual(base: Node, over: Node, path: &[&str]) -> Result<Node, FileError> {
    match (base.value, over.value) {
        (value, Value::Null) => Ok(Node { value, at: base.at, join: Join::Usual }),
        (Value::Map(mine), Value::Map(theirs)) => {
            Ok(Node { value: Value::Map(maps(mine, theirs, path)?), at: over.at, join: Join::Usual })
        }
        (Value::List(mut mine), Value::List(theirs)) => {
            mine.extend(theirs.into_iter().filter(|node| node.join != Join::Reset).map(settled));
            Ok(Node { value: Value::List(mine), at: over.at, join: Join::Usual })
        }
        (Value::Map(_) | Value::List(_), _) => {
            Err(FileError::new(&over.at, format!("cannot override {}", path.join("."))))
        }
        (_, value) => Ok(settled(Node { value, at: over.at, join: Join::Usual })),
    }
}

/// Joins two mappings key by key.
pub(crate) fn maps(mut base: Map, over: Map, path: &[&str]) -> Result<Map, FileError> {
    for entry in over.into_entries() {
        let old = base.get(&entry.key).cloned();
        let value = match (old, entry.value.join) {
            (_, Join::Reset) => {
                base.remove(&entry.key);
                continue;
            }
            (Some(old), _) => merge(old, entry.value, &[path, &[&entry.key]].concat())?,
            (None, _) => settled(entry.value),
        };
        base.set(&entry.key, &entry.at, value);
    }
    Ok(base)
}

/// A value nothing is joined with: what it resets is gone, what it overrides is plain.
pub(crate) fn settled(mut node: Node) -> Node {
    node.join = Join::Usual;
    node.value = match node.value {
        Value::Map(map) => {
            let mut kept = Map::default();
            for entry in map.into_entries() {
                if entry.value.join != Join::Reset {
                    kept.set(&entry.key, &entry.at, settled(entry.value));
                }
            }
            Value::Map(kept)
        }
        Value::List(list) => {
            Value::List(list.into_iter().filter(|node| node.join != Join::Reset).map(settled).collect())
        }
        value => value,
    };
    node
}

fn both(base: Node, over: Node, path: &[&str], form: impl Fn(Node) -> Node) -> Result<Node, FileError> {
    usual(form(base), form(over), path)
}

fn sequences(base: Node, over: Node, once: bool) -> Result<Node, FileError> {
    let at = over.at.clone();
    let mut list = sequence(&base);
    for entry in over.as_map().into_iter().flat_map(Map::iter).filter(|entry| entry.value.join == Join::Reset)
    {
        list.retain(|item| item.printed().split('=').next() != Some(entry.key.as_str()));
    }
    for node in sequence(&settled(over)) {
        if !(once && list.iter().any(|old| old.value == node.value)) {
            list.push(node);
        }
    }
    Ok(Node::of(Value::List(list), &at))
}

/// Any form as a list; a mapping gives `name=value` in the order of the texts.
pub(crate) fn sequence(node: &Node) -> Vec<Node> {
    match &node.value {
        Value::Null => Vec::new(),
        Value::List(list) => list.clone(),
        Value::Scalar { .. } => vec![node.clone()],
        Value::Map(map) => {
            let mut list: Vec<(String, Position)> = Vec::new();
            for entry in map.iter() {
                let mut add = |text: String| list.push((text, entry.at.clone()));
                match &entry.value.value {
                    Value::Null => add(entry.key.clone()),
                    Value::List(values) => {
                        values.iter().for_each(|value| add(format!("{}={}", entry.key, value.printed())));
                    }
                    _ => add(format!("{}={}", entry.key, entry.value.printed())),
                }
            }
            list.sort_by(|a, b| a.0.cmp(&b.0));
            list.into_iter().map(|(text, at)| Node::of_text(text, &at)).collect()
        }
    }
}

/// A list of names as a mapping from them.
pub(crate) fn named(node: &Node, value: impl Fn(&Position) -> Node) -> Node {
    let Value::List(list) = &node.value else { return node.clone() };
    let mut map = Map::default();
    for item in list {
        map.set(&item.printed(), &item.at, value(&item.at));
    }
    Node { value: Value::Map(map), at: node.at.clone(), join: node.join }
}

/// What a bare name in `depends_on` asks for.
pub(crate) fn started(at: &Position) -> Node {
    Node::of_map(
        [("condition", Node::of_text("service_started", at)), ("required", Node::of_plain("true", at))],
        at,
    )
}

/// A list of `name=value` as a mapping; a bare name has nothing.
pub(crate) fn keyed_by_equals(node: &Node) -> Node {
    let Value::List(list) = &node.value else { return node.clone() };
    let mut map = Map::default();
    for item in list {
        let text = item.printed();
        match text.split_once('=') {
            Some((key, value)) => map.set(key, &item.at, Node::of_text(value, &item.at)),
            None => map.set(&text, &item.at, Node::null(&item.at)),
        }
    }
    Node { value: Value::Map(map), at: node.at.clone(), join: node.join }
}

/// Options of one driver mean nothing to another.
fn logging(base: Node, over: Node, path: &[&str]) -> Result<Node, FileError> {
    let driver = |node: &Node| node.as_map().and_then(|map| map.get("driver")).map(Node::printed);
    match (driver(&base), driver(&over)) {
        (Some(mine), Some(theirs)) if mine != theirs => Ok(settled(over)),
        _ => usual(base, over, path),
    }
}

/// Pools of one subnet join; others stand beside each other.
fn pools(base: Node, over: Node, path: &[&str]) -> Result<Node, FileError> {
    let at = over.at.clone();
    let (Some(mine), Some(theirs)) = (base.as_list(), over.as_list()) else { return usual(base, over, path) };
    let subnet = |node: &Node| node.as_map().and_then(|map| map.get("subnet")).map(Node::printed);
    let mut pools = mine.to_vec();
    for pool in theirs.iter().cloned() {
        match pools.iter_mut().find(|old| subnet(old) == subnet(&pool)) {
            Some(old) => *old = usual(old.clone(), pool, path)?,
            None => pools.push(settled(pool)),
        }
    }
    Ok(Node::of(Value::List(pools), &at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::canonical::{Strictness, canonical};
    use crate::project::Data;

    /// Attributes, each with forms it may have; joined with itself, none of them changes.
    const FORMS: [&str; 14] = [
        "image: a",
        "command: [x, y]",
        "environment: {A: 1, B: two}",
        "environment: [A=3, C]",
        "labels: {a: b}",
        "ports: ['80:80', 81]",
        "volumes: ['./a:/a', 'data:/d:ro']",
        "depends_on: [d]",
        "depends_on: {d: {condition: service_healthy}}",
        "networks: [n]",
        "cap_add: [A, B]",
        "tmpfs: /t",
        "logging: {driver: x, options: {a: b}}",
        "build: {context: ., args: [A=1]}",
    ];

    fn file(picked: &[usize]) -> Node {
        let mut text = String::from("services:\n  w:\n    hostname: h\n");
        let mut seen: Vec<&str> = Vec::new();
        for form in picked.iter().map(|index| FORMS[*index]) {
            let key = form.split(':').next().unwrap_or_default();
            if !seen.contains(&key) {
                text.push_str(&format!("    {form}\n"));
                seen.push(key);
            }
        }
        crate::tree::read("c.yaml", &text).unwrap().remove(0)
    }

    fn joined(files: &[&Node]) -> Data {
        let mut whole = Node::of_map([], &Position::default());
        for file in files {
            whole = merge(whole, (*file).clone(), &[]).unwrap();
            crate::unique::enforce(&mut whole, &[]).unwrap();
            canonical(&mut whole, &[], Strictness::Strict).unwrap();
            crate::unique::enforce(&mut whole, &[]).unwrap();
        }
        // Pairs in one form, whichever they came in.
        for key in ["environment", "labels", "args"] {
            one_form(&mut whole, key);
        }
        whole.data()
    }

    fn one_form(node: &mut Node, key: &str) {
        for entry in node.as_map_mut().into_iter().flat_map(Map::iter_mut) {
            if entry.key == key {
                entry.value = Node::of(Value::List(sequence(&entry.value)), &Position::default());
            } else {
                one_form(&mut entry.value, key);
            }
        }
    }

    proptest! {
        #[test]
        fn a_file_joined_with_itself_or_with_nothing_is_itself(picked in prop::collection::vec(0..FORMS.len(), 0..8)) {
            let file = file(&picked);
            let nothing = crate::tree::read("n.yaml", "services: {w: {}}\n").unwrap().remove(0);
            let alone = joined(&[&file]);
            prop_assert_eq!(&joined(&[&file, &nothing]), &alone);
            prop_assert_eq!(&joined(&[&nothing, &file]), &alone);
            // A list that is a pair's only form is that of its texts; a tmpfs of one text becomes a list.
            if !picked.iter().any(|index| FORMS[*index].starts_with("tmpfs")) {
                prop_assert_eq!(&joined(&[&file, &file]), &alone);
            }
        }

        #[test]
        fn the_later_file_wins(first in prop::collection::vec(0..FORMS.len(), 0..8), image in "[a-z]{1,8}") {
            let text = format!("services:\n  w:\n    image: {image}\n    ports: !override []\n    labels: !reset null\n");
            let later = crate::tree::read("l.yaml", &text).unwrap().remove(0);
            let Data::Map(whole) = joined(&[&file(&first), &later]) else { panic!("a mapping") };
            let Some(Data::Map(services)) = whole.get("services") else { panic!("services") };
            let Some(Data::Map(service)) = services.get("w") else { panic!("a service") };
            prop_assert_eq!(service.get("image"), Some(&crate::scalar::resolve(&image)));
            prop_assert_eq!(service.get("ports"), Some(&Data::List(Vec::new())));
            prop_assert_eq!(service.get("labels"), None);
            prop_assert_eq!(service.get("hostname"), Some(&Data::Text("h".into())));
        }
    }
}
