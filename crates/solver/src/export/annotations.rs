//! `annotation.KEY=VALUE` and its kin: which document of a result gets which.

use std::collections::BTreeMap;

use gantry_names::Platform;
use serde_json::{Value, json};

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// An image's manifest.
    Manifest,
    /// Its entry in the index.
    ManifestDescriptor,
    /// The index.
    Index,
    /// The entry of the index in a layout.
    IndexDescriptor,
}

/// All that were asked for.
#[derive(Debug, Default)]
pub(super) struct Annotations(Vec<(Level, Option<String>, String, String)>);

impl Annotations {
    /// Reads `annotation[-LEVEL][[PLATFORM]].KEY` out of an exporter's attributes.
    pub(super) fn read(attrs: &BTreeMap<String, String>) -> Annotations {
        let mut all = Vec::new();
        for (name, value) in attrs {
            let Some(rest) = name.strip_prefix("annotation") else { continue };
            let levels = [
                ("-manifest-descriptor", Level::ManifestDescriptor),
                ("-index-descriptor", Level::IndexDescriptor),
                ("-manifest", Level::Manifest),
                ("-index", Level::Index),
                ("", Level::Manifest),
            ];
            for (prefix, level) in levels {
                let Some(rest) = rest.strip_prefix(prefix) else { continue };
                let (platform, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                    Some((platform, rest)) => (Some(platform.to_owned()), rest),
                    None => (None, rest),
                };
                if let Some(key) = rest.strip_prefix('.') {
                    all.push((level, platform, key.to_owned(), value.clone()));
                    break;
                }
            }
        }
        Annotations(all)
    }

    /// Whether any is for this document.
    pub(super) fn has(&self, level: Level) -> bool {
        self.0.iter().any(|(found, ..)| *found == level)
    }

    /// Puts those of one document into it.
    pub(super) fn put(&self, level: Level, platform: Option<&Platform>, document: &mut Value) {
        let platform = platform.map(ToString::to_string);
        for (found, on, key, value) in &self.0 {
            if *found == level && (on.is_none() || *on == platform) {
                document["annotations"][key.as_str()] = json!(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_go_where_they_were_asked_for() {
        let attrs = [
            ("annotation.a", "1"),
            ("annotation[linux/arm64].b", "2"),
            ("annotation-index.c", "3"),
            ("annotation-manifest-descriptor.d.e", "4"),
            ("annotationless", "5"),
        ];
        let attrs = attrs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let annotations = Annotations::read(&attrs);
        let put = |level, platform: &str| {
            let mut document = json!({});
            annotations.put(level, Some(&Platform::parse(platform).unwrap()), &mut document);
            document["annotations"].to_string()
        };
        assert_eq!(put(Level::Manifest, "linux/amd64"), r#"{"a":"1"}"#);
        assert_eq!(put(Level::Manifest, "linux/arm64"), r#"{"a":"1","b":"2"}"#);
        assert_eq!(put(Level::Index, "linux/amd64"), r#"{"c":"3"}"#);
        assert_eq!(put(Level::ManifestDescriptor, "linux/amd64"), r#"{"d.e":"4"}"#);
        assert!(!annotations.has(Level::IndexDescriptor));
    }
}
