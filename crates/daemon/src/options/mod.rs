//! Every setting of the engine, once: its flag, its key in `daemon.json`, its kind, and what it means here.
//!
//! Flags and file are two notations of one JSON object. Both are read by this table into that object ([`flags`],
//! [`file`]), conflicts are told, and the object becomes the typed [`crate::config::Config`].

pub(crate) mod file;
pub(crate) mod flags;
mod table;

pub(crate) use table::OPTIONS;

/// How a setting is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--icc`, `--icc=false`; a JSON boolean.
    Flag,
    /// One text.
    Text,
    /// A whole number.
    Number,
    /// May come several times; a JSON list of texts.
    List,
    /// `key=value`, several times; a JSON object of texts.
    Map,
    /// `name=true`, several times; a JSON object of booleans.
    Switches,
    /// `driver=key=value`, several times; a JSON object of objects.
    Maps,
    /// `name=path`, several times; a JSON object of runtimes.
    Runtimes,
    /// `name=soft[:hard]`, several times; a JSON object of limits.
    Ulimits,
    /// `base=…,size=…`, several times; a JSON list of pools.
    Pools,
}

/// What a setting does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// What it says.
    Kept,
    /// Nothing, for this reason: told once in the log when it is used.
    Told(&'static str),
    /// Using it is an error, because going on without it would be unsafe or false.
    Refused(&'static str),
}

/// One setting.
pub(crate) struct Setting {
    /// Long flag, without the dashes.
    pub(crate) flag: &'static str,
    pub(crate) short: Option<char>,
    /// Key in `daemon.json`.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    pub(crate) meaning: Meaning,
    pub(crate) help: &'static str,
}

/// Settings by key.
pub(crate) type Values = serde_json::Map<String, serde_json::Value>;

/// A value as Go prints it with `%v`: lists `[a b]`, maps `map[a:b]`.
pub(crate) fn go(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", go(v))).collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}
