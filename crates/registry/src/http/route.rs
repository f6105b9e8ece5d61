//! Which thing a path speaks of. Names may hold slashes, so a path is read from its end.

use gantry_names::Digest;

use super::query::decode;
use crate::name::{RepositoryName, Tag};
use crate::refusal::{Code, Refusal};
use crate::store::manifest::Target;

/// What is asked for: each is the endpoint of its name in the distribution spec, or plain.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    Base,
    Catalog,
    Blob(RepositoryName, Digest),
    Uploads(RepositoryName),
    Upload(RepositoryName, String),
    Manifest(RepositoryName, Target),
    /// A manifest by what cannot be a tag: unknown to readers, invalid to writers.
    NoTag(RepositoryName),
    Tags(RepositoryName),
    Referrers(RepositoryName, Digest),
    Search,
    OldPing,
    Token,
    Page,
    RepositoryPage(RepositoryName),
    Health,
    Metrics,
    Nowhere,
}

impl Route {
    /// Reads a path.
    pub fn parse(path: &str) -> Result<Self, Refusal> {
        match path {
            "/v2" | "/v2/" => return Ok(Self::Base),
            "/v2/_catalog" => return Ok(Self::Catalog),
            "/v1/search" => return Ok(Self::Search),
            "/v1/_ping" => return Ok(Self::OldPing),
            "/auth/token" => return Ok(Self::Token),
            "/" => return Ok(Self::Page),
            "/debug/health" => return Ok(Self::Health),
            "/metrics" => return Ok(Self::Metrics),
            _ => {}
        }
        if let Some(name) = path.strip_prefix("/r/") {
            return Ok(RepositoryName::parse(name).map_or(Self::Nowhere, Self::RepositoryPage));
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return Ok(Self::Nowhere) };
        let rest = decode(rest, false).ok_or_else(|| Refusal::new(Code::NameInvalid))?;
        Self::parse_named(&rest)
    }

    fn parse_named(rest: &str) -> Result<Self, Refusal> {
        let name = |text: &str| {
            RepositoryName::parse(text)
                .ok_or_else(|| Refusal::new(Code::NameInvalid).with(serde_json::json!({"name": text})))
        };
        let digest = |text: &str| {
            Digest::parse(text).map_err(|err| {
                Refusal::saying(Code::DigestInvalid, err.to_string())
                    .with(serde_json::json!({"digest": text}))
            })
        };
        if let Some(of) = rest.strip_suffix("/tags/list") {
            return Ok(Self::Tags(name(of)?));
        }
        if let Some(of) = rest.strip_suffix("/blobs/uploads").or_else(|| rest.strip_suffix("/blobs/uploads/"))
        {
            return Ok(Self::Uploads(name(of)?));
        }
        let Some((front, last)) = rest.rsplit_once('/') else { return Ok(Self::Nowhere) };
        if let Some(of) = front.strip_suffix("/blobs/uploads") {
            return Ok(Self::Upload(name(of)?, last.to_owned()));
        }
        match front.rsplit_once('/') {
            Some((of, "blobs")) => Ok(Self::Blob(name(of)?, digest(last)?)),
            Some((of, "referrers")) => Ok(Self::Referrers(name(of)?, digest(last)?)),
            Some((of, "manifests")) if last.contains(':') => {
                Ok(Self::Manifest(name(of)?, Target::Digest(digest(last)?)))
            }
            Some((of, "manifests")) => match Tag::parse(last) {
                Some(tag) => Ok(Self::Manifest(name(of)?, Target::Tag(tag))),
                None => Ok(Self::NoTag(name(of)?)),
            },
            _ => Ok(Self::Nowhere),
        }
    }

    /// The repository that is spoken of, where it is one of many.
    pub fn repository_mut(&mut self) -> Option<&mut RepositoryName> {
        match self {
            Self::Blob(name, _)
            | Self::Manifest(name, _)
            | Self::NoTag(name)
            | Self::Tags(name)
            | Self::Referrers(name, _) => Some(name),
            _ => None,
        }
    }

    /// The endpoint's name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Blob(..) => "blob",
            Self::Uploads(_) => "uploads",
            Self::Upload(..) => "upload",
            Self::Manifest(..) | Self::NoTag(_) => "manifest",
            Self::Tags(_) => "tags",
            Self::Referrers(..) => "referrers",
            Self::Search => "search",
            Self::Token => "token",
            Self::Page | Self::RepositoryPage(_) => "page",
            Self::OldPing | Self::Health | Self::Metrics | Self::Nowhere => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn name(text: &str) -> RepositoryName {
        RepositoryName::parse(text).unwrap()
    }

    #[test]
    fn paths_are_read_from_their_end() {
        let digest = || Digest::parse(DIGEST).unwrap();
        for (path, route) in [
            ("/v2/".to_owned(), Route::Base),
            (format!("/v2/a/b/blobs/{DIGEST}"), Route::Blob(name("a/b"), digest())),
            (format!("/v2/a/blobs/{}", DIGEST.replace(':', "%3A")), Route::Blob(name("a"), digest())),
            ("/v2/a/blobs/uploads/".to_owned(), Route::Uploads(name("a"))),
            ("/v2/blobs/blobs/uploads/x".to_owned(), Route::Upload(name("blobs"), "x".into())),
            ("/v2/tags/list/tags/list".to_owned(), Route::Tags(name("tags/list"))),
            (
                "/v2/a/manifests/v1".to_owned(),
                Route::Manifest(name("a"), Target::Tag(Tag::parse("v1").unwrap())),
            ),
            ("/v2/a/manifests/.bad".to_owned(), Route::NoTag(name("a"))),
            ("/v2/manifests".to_owned(), Route::Nowhere),
            ("/etc/passwd".to_owned(), Route::Nowhere),
        ] {
            assert_eq!(Route::parse(&path).unwrap(), route, "{path}");
        }
    }

    #[test]
    fn hostile_paths_are_refused_with_the_specs_code() {
        for (path, code) in [
            ("/v2/../../etc/blobs/uploads/".to_owned(), Code::NameInvalid),
            ("/v2/%2e%2e/tags/list".to_owned(), Code::NameInvalid),
            ("/v2/A/tags/list".to_owned(), Code::NameInvalid),
            ("/v2/a%00/tags/list".to_owned(), Code::NameInvalid),
            ("/v2/%zz/tags/list".to_owned(), Code::NameInvalid),
            ("/v2/a/blobs/sha256:..".to_owned(), Code::DigestInvalid),
            ("/v2/a/manifests/md5:abc".to_owned(), Code::DigestInvalid),
        ] {
            assert_eq!(Route::parse(&path).unwrap_err().code, code, "{path}");
        }
    }
}
