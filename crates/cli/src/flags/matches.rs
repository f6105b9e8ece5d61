//! What was given on a command line, asked by name.

use super::{Flag, Kind};
use crate::parse::{csv, duration, numbers, size};

/// The flags and words of one command.
#[derive(Clone)]
pub struct Matches {
    tables: Vec<&'static [Flag]>,
    given: Vec<(&'static str, String)>,
    /// The words that are no flags.
    pub words: Vec<String>,
}

impl Matches {
    pub(crate) fn new(
        tables: Vec<&'static [Flag]>,
        given: Vec<(&'static str, String)>,
        words: Vec<String>,
    ) -> Matches {
        Matches { tables, given, words }
    }

    fn flag(&self, name: &str) -> &Flag {
        self.tables
            .iter()
            .flat_map(|t| t.iter())
            .find(|f| f.long == name)
            .unwrap_or_else(|| panic!("a command asks only for flags of its table, not --{name}"))
    }

    /// Whether the flag was given.
    pub fn changed(&self, name: &str) -> bool {
        self.given.iter().any(|(n, _)| *n == name)
    }

    /// Whether the command has this flag at all (create and run share code).
    pub fn has(&self, name: &str) -> bool {
        self.tables.iter().flat_map(|t| t.iter()).any(|f| f.long == name)
    }

    /// The last value of the flag, its default, or "".
    pub fn text(&self, name: &str) -> &str {
        match self.given.iter().rev().find(|(n, _)| *n == name) {
            Some((_, value)) => value,
            None => self.flag(name).default,
        }
    }

    /// The value when it was given.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// Whether a switch is on.
    pub fn on(&self, name: &str) -> bool {
        numbers::boolean(self.text(name)).unwrap_or(false)
    }

    /// All values of the flag, in order.
    pub fn all(&self, name: &str) -> Vec<String> {
        let split = self.flag(name).kind == Kind::Strings;
        let mut out = Vec::new();
        for (_, value) in self.given.iter().filter(|(n, _)| *n == name) {
            match split {
                true => out.extend(csv::fields(value).unwrap_or_default()),
                false => out.push(value.clone()),
            }
        }
        out
    }

    /// A whole number; 0 when not given and without default.
    pub fn int(&self, name: &str) -> i64 {
        numbers::int(self.text(name)).unwrap_or(0)
    }

    /// A size in bytes; 0 when not given.
    pub fn bytes(&self, name: &str) -> i64 {
        match self.flag(name).kind {
            Kind::Swap => size::parse_swap(self.text(name)).unwrap_or(0),
            _ => size::parse(self.text(name)).unwrap_or(0),
        }
    }

    /// A duration in nanoseconds; 0 when not given.
    pub fn nanos(&self, name: &str) -> i64 {
        duration::parse(self.text(name)).unwrap_or(0)
    }

    /// `key=value` pairs as Docker reads them: a missing value is empty, the last of a key counts.
    pub fn map(&self, name: &str) -> serde_json::Map<String, serde_json::Value> {
        crate::parse::env::to_map(&self.all(name))
    }

    /// The word at `at`, which the command's arity promises.
    pub fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }
}
