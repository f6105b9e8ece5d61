//! Cache keys: a digest over everything a step's result depends on, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gantry_names::{Digest, Hasher};
use serde::{Deserialize, Serialize};

/// The inputs of one step by name, kept beside its result so that a later miss can be explained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The state before the step.
    pub parent: Option<Digest>,
    /// Everything else: `instruction`, `arg NAME`, `files PATH`, `stage NAME`, ...
    pub named: BTreeMap<String, String>,
}

impl Inputs {
    /// Inputs of a step on `parent`.
    pub fn on(parent: Option<&Digest>) -> Self {
        Self { parent: parent.cloned(), named: BTreeMap::new() }
    }

    /// Adds an input.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.named.insert(name.into(), value.into());
        self
    }

    /// The key: equal inputs, equal key. Lengths are part of it, so no two lists of inputs read alike.
    pub fn key(&self) -> Digest {
        let mut hasher = Hasher::new();
        let mut put = |text: &str| {
            hasher.update(&(text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        };
        put("gantry build 1");
        put(self.parent.as_ref().map_or("", Digest::as_str));
        for (name, value) in &self.named {
            put(name);
            put(value);
        }
        hasher.finish()
    }

    /// How they differ from those of an earlier run of the same instruction.
    pub fn difference(&self, earlier: &Inputs) -> Difference {
        if self.parent != earlier.parent {
            return Difference::Parent;
        }
        let names = self.named.keys().chain(earlier.named.keys());
        let changed = names.filter(|name| self.named.get(*name) != earlier.named.get(*name));
        let changed: BTreeSet<String> = changed.cloned().collect();
        if changed.is_empty() { Difference::Nothing } else { Difference::Named(changed) }
    }
}

/// Why a step is not in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The instruction was never built here.
    New,
    /// The state before it is another.
    Parent,
    /// These inputs are new, changed or gone.
    Named(BTreeSet<String>),
    /// None: what it made is no longer here.
    Nothing,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::New => f.write_str("this instruction was never built here"),
            Difference::Parent => f.write_str("the step before it changed"),
            Difference::Named(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                write!(f, "changed: {}", names.join(", "))
            }
            Difference::Nothing => f.write_str("its result is no longer here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_miss_names_what_changed() {
        let one = Inputs::on(None).with("instruction", "COPY . /").with("files .", "a");
        let two = one.clone().with("files .", "b");
        assert_eq!(two.difference(&one).to_string(), "changed: files .");
        let on = Inputs { parent: Some(Digest::sha256_of(b"x")), ..one.clone() };
        assert_eq!(on.difference(&one), Difference::Parent);
        assert_eq!(one.difference(&one), Difference::Nothing);
    }

    proptest! {
        #[test]
        fn keys_are_equal_exactly_when_inputs_are(
            one in prop::collection::btree_map("[a-c]{0,2}", "[a-c]{0,2}", 0..4),
            two in prop::collection::btree_map("[a-c]{0,2}", "[a-c]{0,2}", 0..4),
        ) {
            let inputs = |named: &BTreeMap<String, String>| Inputs { parent: None, named: named.clone() };
            prop_assert_eq!(inputs(&one).key() == inputs(&two).key(), one == two);
        }
    }
}
