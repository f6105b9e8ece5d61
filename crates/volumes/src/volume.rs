//! One volume.

use std::collections::BTreeMap;

use gantry_names::ContainerId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Docker marks volumes without a given name by this label; `prune` without `all` takes only those.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// A volume's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The local driver's options: `type`, `o`, `device`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl Volume {
    /// Nobody gave it a name.
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS_LABEL)
    }
}

/// What to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Empty: a random name and the anonymous label.
    pub name: String,
    /// Empty is `local`.
    pub driver: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
}

impl VolumeRequest {
    /// With a name: one that was drawn where nobody gave any.
    pub fn drawn(mut self) -> VolumeRequest {
        if self.name.is_empty() {
            self.labels.insert(ANONYMOUS_LABEL.to_owned(), String::new());
            self.name = ContainerId::random().to_string();
        }
        self
    }
}

pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.len() > 1
        && text.len() <= 255
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_folder() {
        for good in ["data", "a1", "My_vol.1-2"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a", ".", "..", "../x", "a/b", "-a", "_a", ".hidden", "a b", &"a".repeat(256)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
