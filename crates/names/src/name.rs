//! Container names, as Docker allows them.

use crate::as_string;

/// Why a text is not a container's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
pub struct NameError(String);

/// A container's name without the slash that Docker's API puts before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerName(String);

impl ContainerName {
    /// Reads a name; one leading slash is dropped. At least two characters, as Docker asks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.strip_prefix('/').unwrap_or(text);
        let mut bytes = name.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if first && rest && name.len() > 1 {
            Ok(Self(name.to_owned()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }

    /// The name without a slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
as_string!(ContainerName, NameError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dockers_grammar() {
        for good in ["web", "/web", "a1", "my_app.web-1", "9lives"] {
            assert_eq!(ContainerName::parse(good).unwrap().as_str(), good.trim_start_matches('/'));
        }
        for bad in ["", "/", "a", "-web", "_web", "we b", "web/1", "//web", "wéb", "web\n"] {
            assert!(ContainerName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
