//! The `filters` query parameter: `{"label":{"a=b":true}}`, or `{"label":["a=b"]}` as clients before 1.22 send it.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Filter terms by key. Both terms and keys are sorted and unique.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(pub BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// Adds one term.
    pub fn add(&mut self, key: impl Into<String>, term: impl Into<String>) -> &mut Self {
        self.0.entry(key.into()).or_default().insert(term.into());
        self
    }

    /// The terms of a key, none when the key is not there.
    pub fn get(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parameter's text as clients send it today; empty when there is no filter.
    pub fn to_param(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let map: BTreeMap<&str, BTreeMap<&str, bool>> = self
            .0
            .iter()
            .map(|(k, terms)| (k.as_str(), terms.iter().map(|t| (t.as_str(), true)).collect()))
            .collect();
        serde_json::to_string(&map).expect("maps of strings have a JSON form")
    }

    /// Reads the parameter's text, in the form of today or of old; empty text is no filter.
    ///
    /// # Errors
    /// Text that has neither form.
    pub fn from_param(text: &str) -> Result<Filters, InvalidFilter> {
        let mut filters = Filters::default();
        if text.is_empty() {
            return Ok(filters);
        }
        let Ok(Value::Object(map)) = serde_json::from_str::<Value>(text) else {
            return Err(InvalidFilter);
        };
        for (key, terms) in map {
            let set = filters.0.entry(key).or_default();
            match terms {
                Value::Object(terms) => {
                    for (term, on) in terms {
                        match on {
                            Value::Bool(_) => set.insert(term),
                            _ => return Err(InvalidFilter),
                        };
                    }
                }
                Value::Array(terms) => {
                    for term in terms {
                        match term {
                            Value::String(term) => set.insert(term),
                            _ => return Err(InvalidFilter),
                        };
                    }
                }
                _ => return Err(InvalidFilter),
            }
        }
        Ok(filters)
    }
}

/// The `filters` parameter is not a map of sets or lists of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidFilter;

impl std::fmt::Display for InvalidFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("invalid filter")
    }
}

impl std::error::Error for InvalidFilter {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_eras_read_the_same() {
        let new = Filters::from_param(r#"{"label":{"a=b":true},"status":{"exited":true}}"#).unwrap();
        let old = Filters::from_param(r#"{"label":["a=b"],"status":["exited"]}"#).unwrap();
        assert_eq!(new, old);
        assert_eq!(Filters::from_param(&new.to_param()).unwrap(), new);
        assert!(Filters::from_param("").unwrap().is_empty());
    }

    #[test]
    fn other_shapes_are_refused() {
        for bad in ["x", "[]", "1", r#"{"a":1}"#, r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#] {
            assert_eq!(Filters::from_param(bad), Err(InvalidFilter), "{bad}");
        }
    }
}
