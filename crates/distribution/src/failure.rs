//! What a registry, or the way to it, says when it does not do as asked. The sentences are Docker's: people and
//! programs know them.

use std::io;

use gantry_errdefs::{Class, Classified};
use gantry_names::Digest;
use http::{Method, StatusCode};
use serde::Deserialize;

use crate::http::{HttpError, TlsError};

/// Why something asked of a registry was not done.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer.
    #[error("{} \"{url}\": {cause}", verb(.method))]
    Request {
        /// What was asked.
        method: Method,
        /// Of whom.
        url: String,
        /// Why nothing came.
        cause: HttpError,
    },
    /// A password would be shown to somebody else.
    #[error(
        "{registry} has tokens given out by {realm}, which is not its own: the password is not shown there"
    )]
    Realm {
        /// Who was asked.
        registry: String,
        /// Where it sends us.
        realm: String,
    },
    /// A login is wanted and there is none.
    #[error("{} \"{url}\": no basic auth credentials", verb(.method))]
    NoCredentials {
        /// What was asked.
        method: Method,
        /// Of whom.
        url: String,
    },
    /// The registry said why not.
    #[error("{}: {message}", word(.code))]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The code, in capitals.
        code: String,
        /// The sentence.
        message: String,
    },
    /// The registry does not know this user and password.
    #[error("login attempt to {url} failed with status: {status}")]
    Login {
        /// What was asked.
        url: String,
        /// What it answered.
        status: StatusCode,
    },
    /// The token service of a registry does not know this user and password.
    #[error("Get \"{url}\": {cause}")]
    TokenLogin {
        /// The registry.
        url: String,
        /// What the service said.
        cause: Box<RegistryError>,
    },
    /// The registry said nothing we understand.
    #[error("received unexpected HTTP status: {0}")]
    Status(StatusCode),
    /// Something that is no registry answered.
    #[error("error parsing HTTP {} response body: {cause}: {body:?}", .status.as_u16())]
    NotJson {
        /// The HTTP status.
        status: StatusCode,
        /// What the parser said.
        cause: String,
        /// The body's beginning.
        body: String,
    },
    /// There is no such image, or not for us.
    #[error(
        "pull access denied for {name}, repository does not exist or may require 'docker login': {cause}"
    )]
    PullDenied {
        /// The image's familiar name.
        name: String,
        /// What the registry said.
        cause: Box<RegistryError>,
    },
    /// There is no such tag.
    #[error("manifest for {reference} not found: {cause}")]
    ManifestUnknown {
        /// The familiar reference.
        reference: String,
        /// What the registry said.
        cause: Box<RegistryError>,
    },
    /// There is no such repository.
    #[error("repository {name} not found: {cause}")]
    NameUnknown {
        /// The image's familiar name.
        name: String,
        /// What the registry said.
        cause: Box<RegistryError>,
    },
    /// An index without the platform that is wanted.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(String),
    /// An image of 2015.
    #[error(
        "Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of {0} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/"
    )]
    Schema1(String),
    /// A document we do not know.
    #[error("unsupported manifest media type and no default available: {0}")]
    MediaType(String),
    /// A document that is broken.
    #[error("invalid manifest: {0}")]
    Manifest(#[from] serde_json::Error),
    /// A manifest that is not what its digest says.
    #[error("image verification failed for digest {0}")]
    ManifestDigest(Digest),
    /// A blob that is not what its digest says.
    #[error("filesystem layer verification failed for digest {0}")]
    BlobDigest(Digest),
    /// A manifest that is too long to be one.
    #[error("manifest is larger than {0} bytes")]
    TooLarge(usize),
    /// A blob that ended early, again and again.
    #[error("unexpected EOF")]
    Truncated,
    /// Something that must be here to be pushed is not.
    #[error("content {0} is not here")]
    Missing(Digest),
    /// The content store failed.
    #[error("{0}")]
    Store(#[source] io::Error),
    /// TLS settings.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A download that another pull had begun failed; its sentence.
    #[error("{text}")]
    Shared {
        /// The sentence.
        text: String,
        /// Its class.
        class: Class,
    },
}

/// Go writes methods in its errors this way.
fn verb(method: &Method) -> String {
    let text = method.as_str();
    format!("{}{}", &text[..1], text[1..].to_lowercase())
}

fn word(code: &str) -> String {
    code.to_lowercase().replace('_', " ")
}

impl RegistryError {
    /// What was asked of whom, in front of why it failed.
    pub(crate) fn request(method: &Method, url: &str, cause: HttpError) -> Self {
        Self::Request { method: method.clone(), url: url.to_owned(), cause }
    }

    /// Whether asking again may help.
    pub fn passing(&self) -> bool {
        match self {
            Self::Request { cause, .. } => cause.passing(),
            Self::Refused { status, .. } | Self::Status(status) | Self::NotJson { status, .. } => {
                passing(*status)
            }
            Self::Truncated => true,
            _ => false,
        }
    }

    /// Whether another address of the same registry should be asked: this one may simply not be it.
    pub(crate) fn elsewhere(&self) -> bool {
        !matches!(self, Self::Store(_) | Self::Schema1(_))
    }

    /// Whether somebody was there, whatever they said.
    pub(crate) fn answered(&self) -> bool {
        !matches!(self, Self::Request { .. } | Self::Tls(_))
    }

    /// The registry's code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::PullDenied { cause, .. }
            | Self::ManifestUnknown { cause, .. }
            | Self::NameUnknown { cause, .. } => cause.code(),
            _ => None,
        }
    }

    /// The status of the registry's answer, if it was one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } | Self::Status(status) | Self::NotJson { status, .. } => {
                Some(*status)
            }
            _ => None,
        }
    }

    /// As a pull tells it.
    pub(crate) fn of_pull(self, familiar: &str, name: &str) -> Self {
        let cause = |this| Box::new(this);
        match self.code() {
            Some("DENIED") => Self::PullDenied { name: name.to_owned(), cause: cause(self) },
            Some("MANIFEST_UNKNOWN") => {
                Self::ManifestUnknown { reference: familiar.to_owned(), cause: cause(self) }
            }
            Some("NAME_UNKNOWN") => Self::NameUnknown { name: name.to_owned(), cause: cause(self) },
            _ => self,
        }
    }
}

/// Statuses that pass by themselves.
pub(crate) fn passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

impl Classified for RegistryError {
    fn class(&self) -> Class {
        match self {
            Self::PullDenied { .. } | Self::ManifestUnknown { .. } | Self::NameUnknown { .. } => {
                Class::NotFound
            }
            Self::NoPlatform(_) | Self::Missing(_) => Class::NotFound,
            Self::NoCredentials { .. } | Self::Realm { .. } => Class::Internal,
            Self::Login { .. } => Class::Unauthorized,
            Self::TokenLogin { cause, .. } => cause.class(),
            Self::Schema1(_) | Self::MediaType(_) | Self::Manifest(_) | Self::TooLarge(_) => {
                Class::InvalidArgument
            }
            Self::Refused { status, .. } | Self::Status(status) | Self::NotJson { status, .. } => {
                match *status {
                    StatusCode::UNAUTHORIZED => Class::Unauthorized,
                    StatusCode::FORBIDDEN => Class::Forbidden,
                    StatusCode::NOT_FOUND => Class::NotFound,
                    StatusCode::BAD_REQUEST => Class::InvalidArgument,
                    status if passing(status) => Class::Unavailable,
                    _ => Class::Internal,
                }
            }
            Self::Store(err) => err.class(),
            Self::Shared { class, .. } => *class,
            Self::Request { .. }
            | Self::ManifestDigest(_)
            | Self::BlobDigest(_)
            | Self::Truncated
            | Self::Tls(_) => Class::Internal,
        }
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Told>,
    /// Token services and old registries say it this way.
    details: Option<String>,
    message: Option<String>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The sentence that goes with a code when a registry gives only the code.
fn plain(code: &str) -> &'static str {
    match code {
        "UNAUTHORIZED" => "authentication required",
        "DENIED" => "requested access to the resource is denied",
        "MANIFEST_UNKNOWN" => "manifest unknown",
        "NAME_UNKNOWN" => "repository name not known to registry",
        "BLOB_UNKNOWN" => "blob unknown to registry",
        "TOOMANYREQUESTS" => "too many requests",
        _ => "unknown error",
    }
}

/// Reads a registry's "no".
pub(crate) fn read(status: StatusCode, body: &[u8]) -> RegistryError {
    let refused = |code: &str, message: &str| RegistryError::Refused {
        status,
        code: code.to_owned(),
        message: if message.is_empty() { plain(code).to_owned() } else { message.to_owned() },
    };
    // An answer to HEAD has no body; its status still tells.
    let by_status = match status {
        StatusCode::UNAUTHORIZED => Some("UNAUTHORIZED"),
        StatusCode::FORBIDDEN => Some("DENIED"),
        StatusCode::TOO_MANY_REQUESTS => Some("TOOMANYREQUESTS"),
        _ => None,
    };
    if body.iter().all(u8::is_ascii_whitespace) {
        return by_status.map_or(RegistryError::Status(status), |code| refused(code, ""));
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(told) => {
            if let Some(first) = told.errors.first() {
                return refused(&first.code, &first.message);
            }
            let error = told.error.as_ref().and_then(|error| error.as_str()).map(str::to_owned);
            match (told.details.or(told.message).or(error), by_status) {
                (Some(text), Some(code)) => refused(code, &text),
                (Some(text), None) => refused("UNKNOWN", &text),
                (None, Some(code)) => refused(code, ""),
                (None, None) => RegistryError::Status(status),
            }
        }
        Err(_) if status.is_server_error() => RegistryError::Status(status),
        Err(err) => match by_status {
            Some(code) => refused(code, ""),
            None => {
                let body: String = String::from_utf8_lossy(body).chars().take(200).collect();
                RegistryError::NotJson { status, cause: err.to_string(), body }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_are_dockers() {
        let unknown = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#;
        let err = read(StatusCode::NOT_FOUND, unknown).of_pull("alpine:x", "alpine");
        assert_eq!(err.to_string(), "manifest for alpine:x not found: manifest unknown: manifest unknown");
        assert_eq!(err.class(), Class::NotFound);
        let denied =
            br#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
        assert_eq!(
            read(StatusCode::FORBIDDEN, denied).of_pull("x:latest", "x").to_string(),
            "pull access denied for x, repository does not exist or may require 'docker login': \
             denied: requested access to the resource is denied"
        );
        assert_eq!(read(StatusCode::UNAUTHORIZED, b"").to_string(), "unauthorized: authentication required");
        let hub = br#"{"details":"incorrect username or password"}"#;
        assert_eq!(
            read(StatusCode::UNAUTHORIZED, hub).to_string(),
            "unauthorized: incorrect username or password"
        );
        assert_eq!(
            read(StatusCode::BAD_GATEWAY, b"<html>").to_string(),
            "received unexpected HTTP status: 502 Bad Gateway"
        );
    }
}
