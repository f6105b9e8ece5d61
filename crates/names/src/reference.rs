//! Image references: `ubuntu`, `localhost:5000/team/app:1.2@sha256:...`.
//!
//! Source: distribution/reference's grammar and Docker Hub's default names (domain `docker.io`, path prefix
//! `library/`).

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};
use crate::id::is_lower_hex;

/// Docker Hub, the domain of references that name none.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// The tag of references that ask for none.
pub const DEFAULT_TAG: &str = "latest";
const OFFICIAL_PREFIX: &str = "library/";
const LEGACY_DOMAIN: &str = "index.docker.io";
/// Longest `domain/path`.
const NAME_LIMIT: usize = 255;
const TAG_LIMIT: usize = 128;

/// Why a text is not a reference. The texts are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Outside the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository has capitals.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// `domain/path` is too long.
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    /// 64 hexadecimal digits are an image id, never a name.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// The digest after `@`.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// A normalised reference: always with a domain; tag and digest as given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads what a person types.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.len() == 64 && is_lower_hex(text) {
            return Err(ReferenceError::LooksLikeId(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let (domain, path) = split_domain(name);
        if path.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(path));
        }
        if !is_domain(&domain) || !is_path(&path) {
            return Err(ReferenceError::Format);
        }
        if domain.len() + 1 + path.len() > NAME_LIMIT {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self { domain, path, tag: tag.map(str::to_owned), digest })
    }

    /// The registry: `docker.io`, `localhost:5000`, ...
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within the registry: `library/ubuntu`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `domain/path`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The tag, where one was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where one was given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The name as people write it: `ubuntu` for `docker.io/library/ubuntu`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix(OFFICIAL_PREFIX) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference as people write it: `ubuntu:14.04`.
    pub fn familiar(&self) -> String {
        self.decorate(self.familiar_name())
    }

    /// The same name with this tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        check_tag(tag)?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same reference, pinned.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The same reference with no tag; a digest stays.
    pub fn without_tag(&self) -> Self {
        Self { tag: None, ..self.clone() }
    }

    /// The name alone: neither tag nor digest.
    pub fn repository(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// Tag `latest` where neither tag nor digest was given.
    pub fn or_latest(&self) -> Self {
        let mut reference = self.clone();
        if reference.tag.is_none() && reference.digest.is_none() {
            reference.tag = Some(DEFAULT_TAG.to_owned());
        }
        reference
    }

    fn decorate(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

/// Splits `name[:tag]`: a colon after the last slash begins a tag, one before it a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, name),
    };
    let domain = if domain == LEGACY_DOMAIN { DEFAULT_DOMAIN } else { domain };
    let official = domain == DEFAULT_DOMAIN && !path.contains('/');
    (domain.to_owned(), if official { format!("{OFFICIAL_PREFIX}{path}") } else { path.to_owned() })
}

/// `team/app` has no domain; `host.tld/app`, `host:5000/app`, `localhost/app`, `Host/app` have one.
fn looks_like_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.chars().any(|c| c.is_ascii_uppercase())
}

fn check_tag(tag: &str) -> Result<(), ReferenceError> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let ok = tag.len() <= TAG_LIMIT
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
    if ok { Ok(()) } else { Err(ReferenceError::Format) }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((address, port)) => {
                let valid =
                    !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
                return valid && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
            }
            None => return false,
        },
        None => domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        let alnum = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        alnum(label.bytes().next())
            && alnum(label.bytes().last())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// Components of lowercase letters and digits, joined inside by `.`, `_`, `__` or any number of `-`.
fn is_path(path: &str) -> bool {
    path.split('/').all(is_component)
}

fn is_component(component: &str) -> bool {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !component.starts_with(alnum) || !component.ends_with(alnum) {
        return false;
    }
    component
        .split(alnum)
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.decorate(self.name()))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl serde::Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize<'de>>::deserialize(from)?;
        Reference::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hub_names_are_filled_in_and_shown_short() {
        for (typed, full, familiar) in [
            ("ubuntu", "docker.io/library/ubuntu", "ubuntu"),
            ("ubuntu:14.04", "docker.io/library/ubuntu:14.04", "ubuntu:14.04"),
            ("docker.io/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
            ("index.docker.io/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
            (
                "dl.dockerpool.com:5000/ubuntu",
                "dl.dockerpool.com:5000/ubuntu",
                "dl.dockerpool.com:5000/ubuntu",
            ),
            ("ouruser/sinatra:v2", "docker.io/ouruser/sinatra:v2", "ouruser/sinatra:v2"),
            ("localhost/a", "localhost/a", "localhost/a"),
            ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t"),
            ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        ] {
            let reference = Reference::parse(typed).unwrap_or_else(|e| panic!("{typed}: {e}"));
            assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (full, familiar));
        }
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        let id = "a".repeat(64);
        let long = format!("a/{}", "b".repeat(300));
        for bad in [
            "",
            ":",
            "@",
            "a:",
            "a@",
            "a/",
            "/a",
            "a//b",
            "a:b:c",
            "a b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a@sha256:00",
            "a:-x",
            "é",
            "a/../b",
            "localhost:/a",
            "host:80x/a",
            id.as_str(),
            long.as_str(),
            "a\n",
            "a:\0",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Reference::parse("Ubuntu"), Err(ReferenceError::Uppercase("library/Ubuntu".into())));
    }

    #[test]
    fn tags_and_digests_are_taken_and_dropped() {
        let digest = Digest::sha256_of(b"");
        let reference = Reference::parse(&format!("app:1@{digest}")).unwrap();
        assert_eq!((reference.tag(), reference.digest()), (Some("1"), Some(&digest)));
        assert_eq!(reference.or_latest(), reference);
        assert_eq!(reference.repository().or_latest().familiar(), "app:latest");
        assert_eq!(reference.with_tag("2").unwrap().familiar(), "app:2");
        assert!(reference.with_tag("bad tag").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_parses_prints_to_itself(text in "\\PC{0,40}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
                prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
            }
        }

        #[test]
        fn likely_references_survive_printing(text in "([a-zA-Z0-9.:-]{1,12}/)?[a-z0-9._/-]{1,20}(:[a-zA-Z0-9._-]{1,8})?") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
                prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
            }
        }
    }
}
