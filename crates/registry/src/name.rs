//! What a repository and a tag may be called. Source: OCI distribution-spec, "Pulling manifests".
//!
//! A name of these types is safe to be joined to a path: no component is empty, starts with a dot or an
//! underscore, or holds a slash.

use std::fmt;

/// Longest repository name: the spec's advice, host name included by some clients.
const NAME_MAX: usize = 255;
/// Longest tag.
const TAG_MAX: usize = 128;

/// A repository's name: path components of `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// The name, if the grammar allows it.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= NAME_MAX && text.split('/').all(component);
        fits.then(|| Self(text.to_owned()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn component(text: &str) -> bool {
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(alnum) || !bytes.last().is_some_and(alnum) {
        return false;
    }
    // Between letters and digits stand single separators: ".", "_", "__", or any number of "-".
    bytes.split(alnum).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
    })
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// The tag, if the grammar allows it.
    pub fn parse(text: &str) -> Option<Self> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let first = text.bytes().next().is_some_and(word);
        let fits = first && text.len() <= TAG_MAX && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        fits.then(|| Self(text.to_owned()))
    }

    /// The whole tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_grammar_pass_and_others_do_not() {
        for good in ["a", "library/ubuntu", "a.b", "a__b", "a---b", "0/1/2", "a-b_c.d"] {
            assert!(RepositoryName::parse(good).is_some(), "{good}");
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "..", "a/../b", "a..b", "a___b", "-a", "a_", ".a", "_layers",
            "a\0", "a b", "é",
        ] {
            assert!(RepositoryName::parse(bad).is_none(), "{bad}");
        }
        assert!(RepositoryName::parse(&"a".repeat(255)).is_some());
        assert!(RepositoryName::parse(&"a".repeat(256)).is_none());
    }

    #[test]
    fn tags_of_the_grammar_pass_and_others_do_not() {
        for good in ["latest", "_x", "V1.0-rc.1", "1"] {
            assert!(Tag::parse(good).is_some(), "{good}");
        }
        for bad in ["", ".", "..", "-a", ".a", "a/b", "a:b", "a b", &"a".repeat(129)] {
            assert!(Tag::parse(bad).is_none(), "{bad}");
        }
    }
}
