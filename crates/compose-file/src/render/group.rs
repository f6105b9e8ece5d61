use std::collections::BTreeMap;

use crate::project::{Duration, Extensions, MaybePairs, Pairs, Size};

use super::keys::sorted;
use super::{Form, Shown};

/// A mapping being written, attribute after attribute; what is not given is left out.
pub(super) struct Group {
    pub(super) form: Form,
    entries: Vec<(String, Shown)>,
}

impl Group {
    pub(super) fn new(form: Form) -> Self {
        Self { form, entries: Vec::new() }
    }

    pub(super) fn put(&mut self, key: &str, value: Shown) {
        self.entries.push((key.to_owned(), value));
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.put(key, Shown::Text(text.to_owned()));
        }
    }

    pub(super) fn texts(&mut self, key: &str, texts: &[String]) {
        self.each(key, texts, |text| Shown::Text(text.clone()));
    }

    pub(super) fn each<T>(&mut self, key: &str, items: &[T], show: impl Fn(&T) -> Shown) {
        if !items.is_empty() {
            self.put(key, Shown::List(items.iter().map(show).collect()));
        }
    }

    pub(super) fn maybe<T>(&mut self, key: &str, value: &Option<T>, show: impl Fn(&T) -> Shown) {
        if let Some(value) = value {
            self.put(key, show(value));
        }
    }

    pub(super) fn switch(&mut self, key: &str, switch: bool) {
        if switch {
            self.put(key, Shown::Switch(true));
        }
    }

    pub(super) fn maybe_switch(&mut self, key: &str, switch: Option<bool>) {
        self.maybe(key, &switch, |switch| Shown::Switch(*switch));
    }

    pub(super) fn integer(&mut self, key: &str, number: i64) {
        if number != 0 {
            self.put(key, Shown::Integer(number));
        }
    }

    pub(super) fn maybe_count(&mut self, key: &str, number: Option<u64>) {
        self.maybe(key, &number, |number| Shown::Integer(i64::try_from(*number).unwrap_or(i64::MAX)));
    }

    pub(super) fn number(&mut self, key: &str, number: f32) {
        if number != 0.0 {
            self.put(key, Shown::Single(number));
        }
    }

    pub(super) fn size(&mut self, key: &str, size: Size) {
        if size.0 != 0 {
            self.put(key, Shown::Text(size.to_string()));
        }
    }

    pub(super) fn duration(&mut self, key: &str, duration: Duration) {
        if duration.0 != 0 {
            self.put(key, Shown::Text(duration.to_string()));
        }
    }

    pub(super) fn maybe_duration(&mut self, key: &str, duration: Option<Duration>) {
        self.maybe(key, &duration, |duration| Shown::Text(duration.to_string()));
    }

    pub(super) fn pairs(&mut self, key: &str, pairs: &Pairs) {
        self.map(key, pairs, |value| Shown::Text(value.clone()));
    }

    pub(super) fn maybe_pairs(&mut self, key: &str, pairs: &MaybePairs) {
        self.map(key, pairs, |value| value.clone().map_or(Shown::Null, Shown::Text));
    }

    pub(super) fn map<T>(&mut self, key: &str, map: &BTreeMap<String, T>, show: impl Fn(&T) -> Shown) {
        if !map.is_empty() {
            self.put(key, Shown::Map(sorted(map, self.form, |_, value| show(value))));
        }
    }

    /// A mapping that JSON shows even when it is empty.
    pub(super) fn nested(&mut self, key: &str, nested: Shown) {
        let empty = matches!(&nested, Shown::Map(entries) if entries.is_empty());
        if self.form == Form::Json || !empty {
            self.put(key, nested);
        }
    }

    /// The user's own attributes, which JSON leaves out.
    pub(super) fn extensions(&mut self, extensions: &Extensions) {
        if self.form == Form::Yaml {
            let form = self.form;
            self.entries.extend(sorted(extensions, form, |_, value| Shown::of(value, form)));
        }
    }

    pub(super) fn sort(&mut self) {
        self.entries.sort_by(|a, b| a.0.cmp(&b.0));
    }

    pub(super) fn done(self) -> Shown {
        Shown::Map(self.entries)
    }
}
