//! A file's relative paths stand on its own folder: resolves them once, when the file is joined with others.

use crate::path;
use crate::tree::{Node, Value};

/// What relative paths stand on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// The folder; itself relative where a file is read for another one.
    pub folder: &'a str,
    /// What `~` stands for.
    pub home: Option<&'a str>,
}

impl Ground<'_> {
    /// A path of the client.
    pub(crate) fn path(&self, text: &str) -> String {
        let home = text.strip_prefix('~').zip(self.home);
        let text =
            home.map_or(text.to_owned(), |(rest, home)| path::join(home, rest.trim_start_matches('/')));
        match text.as_str() {
            "" => text,
            absolute if absolute.starts_with('/') || path::is_windows(absolute) => text,
            _ => path::join(self.folder, &text),
        }
    }

    /// A build's context: a folder, or what only the builder understands.
    fn context(&self, text: &str) -> String {
        if text.starts_with("service:") { text.to_owned() } else { self.near(text) }
    }

    /// A path of the client, or an address as it is.
    fn near(&self, text: &str) -> String {
        if path::is_far(text) { text.to_owned() } else { self.path(text) }
    }

    /// Resolves everything below `node`, which stands at `path`.
    pub(crate) fn resolve(&self, node: &mut Node, path: &[&str]) {
        let at = node.at.clone();
        let plain = |node: &mut Node, change: &dyn Fn(&str) -> String| {
            if let Some(text) = node.as_text() {
                *node = Node::of_text(change(text), &at);
            }
        };
        match path {
            ["services", _, "build", "context"] | ["services", _, "build", "additional_contexts", _] => {
                plain(node, &|text| self.context(text));
            }
            ["services", _, "build", "ssh", _]
            | ["services", _, "env_file", _, "path"]
            | ["services", _, "label_file", _]
            | ["services", _, "develop", "watch", _, "path"]
            | ["configs" | "secrets", _, "file"] => plain(node, &|text| self.path(text)),
            ["services", _, "extends", "file"] => plain(node, &|text| self.near(text)),
            ["services", _, "volumes", _] => self.bind(node),
            ["volumes", _] => self.local_bind(node),
            _ => match &mut node.value {
                Value::Map(map) => map.iter_mut().for_each(|entry| {
                    self.resolve(&mut entry.value, &[path, &[entry.key.as_str()]].concat())
                }),
                Value::List(list) => {
                    list.iter_mut().for_each(|item| self.resolve(item, &[path, &["[]"]].concat()));
                }
                _ => {}
            },
        }
    }

    fn bind(&self, node: &mut Node) {
        let Some(map) = node.as_map_mut() else { return };
        if map.get("type").and_then(Node::as_text) != Some("bind") {
            return;
        }
        if let Some(source) = map.get_mut("source")
            && let Some(text) = source.as_text()
        {
            *source = Node::of_text(self.path(text), &source.at.clone());
        }
    }

    /// A volume of the driver `local` with `o: bind` is a folder of the client.
    fn local_bind(&self, node: &mut Node) {
        let Some(map) = node.as_map_mut() else { return };
        if map.get("driver").and_then(Node::as_text) != Some("local") {
            return;
        }
        let Some(options) = map.get_mut("driver_opts").and_then(Node::as_map_mut) else { return };
        if options.get("o").and_then(Node::as_text) != Some("bind") {
            return;
        }
        if let Some(device) = options.get_mut("device")
            && let Some(text) = device.as_text()
        {
            *device = Node::of_text(self.path(text), &device.at.clone());
        }
    }
}
