//! What was fetched from another machine says nothing of this one's folders: its relative paths stay within it.
//!
//! A path that is absolute, or stands on the home folder, is one that a person reads in `config`, and may mean.

use crate::path;
use crate::tree::{FileError, Node, Value};

/// Whether a path, as it is written and as it is resolved, leaves what was fetched.
pub(crate) fn leaves(written: &str, path: &str, root: &str) -> bool {
    let relative = !written.starts_with(['/', '~']) && !path::is_far(written);
    let within = path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    relative && !within
}

/// The sentence.
pub(crate) fn told(written: &str) -> String {
    format!("{written} leaves what was fetched with this file")
}

/// Every relative path of a file in `folder` that leaves `root`.
pub(crate) fn problems(whole: &Node, folder: &str, root: &str) -> Vec<FileError> {
    let mut problems = Vec::new();
    walk(whole, &[], &mut |node| {
        if let Some(written) = node.as_text()
            && leaves(written, &path::join(folder, written), root)
        {
            problems.push(FileError::new(&node.at, told(written)));
        }
    });
    problems
}

/// Shows `see` every path of the client below `node`, which stands at `at`.
fn walk(node: &Node, at: &[&str], see: &mut impl FnMut(&Node)) {
    match at {
        ["services", _, "env_file", _, "path"]
        | ["services", _, "label_file", _]
        | ["services", _, "extends", "file"]
        | ["services", _, "build", "context"]
        | ["configs" | "secrets", _, "file"] => see(node),
        ["services", _, "volumes", _] => {
            let map = node.as_map();
            let bound = map.filter(|map| map.get("type").and_then(Node::as_text) == Some("bind"));
            bound.and_then(|map| map.get("source")).into_iter().for_each(see);
        }
        _ => match &node.value {
            Value::Map(map) => {
                map.iter().for_each(|entry| walk(&entry.value, &[at, &[entry.key.as_str()]].concat(), see));
            }
            Value::List(list) => list.iter().for_each(|item| walk(item, &[at, &["[]"]].concat(), see)),
            _ => {}
        },
    }
}
