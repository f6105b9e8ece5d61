use std::collections::BTreeMap;

use crate::project::{Duration, Extensions, MaybePairs, Pairs, Size};
use crate::schema;
use crate::tree::{FileError, Map, Node, Value};

use super::Told;

/// A mapping whose attributes are read by name. What cannot be read is told, and counts as not given.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    node: &'a Node,
    told: &'a Told,
}

impl<'a> Fields<'a> {
    pub(super) fn of(node: &'a Node, told: &'a Told) -> Self {
        Self { node, told }
    }

    /// An attribute that is there and not empty.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.as_map()?.get(key).filter(|node| !node.is_null())
    }

    /// Whether the attribute stands there, be it empty.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node.as_map().is_some_and(|map| map.get(key).is_some())
    }

    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    pub(super) fn tell(&self, node: &Node, message: impl Into<String>) {
        self.told.borrow_mut().push(FileError::new(&node.at, message));
    }

    fn read<T, E: ToString>(&self, key: &str, read: impl Fn(&Node) -> Result<T, E>) -> Option<T> {
        let node = self.get(key)?;
        match read(node) {
            Ok(value) => Some(value),
            Err(error) => {
                self.tell(node, format!("{key}: {}", error.to_string()));
                None
            }
        }
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.get(key).map(Node::printed).unwrap_or_default()
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        self.get(key).map(crate::merge::sequence).unwrap_or_default().iter().map(Node::printed).collect()
    }

    pub(super) fn maybe_switch(&self, key: &str) -> Option<bool> {
        self.read(key, |node| {
            let text = node.printed();
            schema::switch(&text).ok_or_else(|| format!("invalid boolean: {text}"))
        })
    }

    pub(super) fn switch(&self, key: &str) -> bool {
        self.maybe_switch(key).unwrap_or_default()
    }

    pub(super) fn maybe_integer<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        self.read(key, |node| {
            let text = node.printed();
            let whole =
                schema::integer(&text).or_else(|| text.parse::<f64>().ok().map(|number| number as i64));
            whole.and_then(|number| T::try_from(number).ok()).ok_or_else(|| format!("invalid number: {text}"))
        })
    }

    pub(super) fn integer<T: TryFrom<i64> + Default>(&self, key: &str) -> T {
        self.maybe_integer(key).unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> f32 {
        self.read(key, |node| {
            let text = node.printed();
            text.parse::<f64>().map(|number| number as f32).map_err(|_| format!("invalid number: {text}"))
        })
        .unwrap_or_default()
    }

    pub(super) fn size(&self, key: &str) -> Size {
        self.read(key, |node| Size::parse(&node.printed())).unwrap_or_default()
    }

    pub(super) fn maybe_duration(&self, key: &str) -> Option<Duration> {
        self.read(key, |node| Duration::parse(&node.printed()))
    }

    pub(super) fn duration(&self, key: &str) -> Duration {
        self.maybe_duration(key).unwrap_or_default()
    }

    /// `name: value` or `- name=value`, a name without a value having nothing.
    pub(super) fn maybe_pairs(&self, key: &str) -> MaybePairs {
        let Some(node) = self.get(key) else { return MaybePairs::new() };
        match &node.value {
            Value::Map(map) => map
                .iter()
                .map(|entry| {
                    let value = (!entry.value.is_null()).then(|| entry.value.printed());
                    (entry.key.clone(), value)
                })
                .collect(),
            _ => crate::merge::sequence(node).iter().map(|item| self.pair(item)).collect(),
        }
    }

    fn pair(&self, item: &Node) -> (String, Option<String>) {
        let text = item.printed();
        let (name, value) = text
            .split_once('=')
            .map_or((text.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
        if name.ends_with(char::is_whitespace) {
            self.tell(item, format!("environment variable {name} is declared with a trailing space"));
        }
        (name.to_owned(), value)
    }

    /// `name: value` or `- name=value`, a name without a value having an empty one.
    pub(super) fn pairs(&self, key: &str) -> Pairs {
        self.maybe_pairs(key).into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect()
    }

    /// A list of mappings.
    pub(super) fn each<T>(&self, key: &str, read: impl Fn(Fields<'a>) -> T) -> Vec<T> {
        let list = self.get(key).and_then(Node::as_list).unwrap_or_default();
        list.iter().map(|node| read(Fields::of(node, self.told))).collect()
    }

    /// A mapping below.
    pub(super) fn under<T>(&self, key: &str, read: impl Fn(Fields<'a>) -> T) -> Option<T> {
        self.get(key).filter(|node| node.as_map().is_some()).map(|node| read(Fields::of(node, self.told)))
    }

    /// A mapping of names the user chose.
    pub(super) fn map_of<T>(&self, key: &str, read: impl Fn(&str, Fields<'a>) -> T) -> BTreeMap<String, T> {
        let entries = self.get(key).and_then(Node::as_map).into_iter().flat_map(Map::iter);
        entries
            .map(|entry| (entry.key.clone(), read(&entry.key, Fields::of(&entry.value, self.told))))
            .collect()
    }

    /// The user's own attributes.
    pub(super) fn extensions(&self) -> Extensions {
        let entries = self.node.as_map().into_iter().flat_map(Map::iter);
        entries
            .filter(|entry| entry.key.starts_with("x-") && entry.key != crate::normalize::VALUE)
            .map(|entry| (entry.key.clone(), entry.value.data()))
            .collect()
    }
}
