//! Secrets and configs that are copied into a container before it starts: what is no file of the engine's machine, and
//! what has an owner or a mode of its own.

use gantry_archive::{Entry, Writer};
use gantry_client::{Body, ClientError, Query};
use gantry_compose_file::project::{Grant, Project, Service, Source};

use crate::failed::Failed;
use crate::scene::Scene;

/// What could not be given to a container.
#[derive(Debug, thiserror::Error)]
pub enum Ungranted {
    /// A variable is not set.
    #[error("environment variable {variable:?} required by {kind} {name:?} is not set")]
    Unset {
        /// The variable.
        variable: String,
        /// `secret` or `config`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Nothing can be written there.
    #[error(
        "cannot create {kind} {name:?} in read-only service {service}: `file` is the sole supported option"
    )]
    ReadOnly {
        /// `secret` or `config`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The service.
        service: String,
    },
    /// A file cannot be read.
    #[error("{kind} {name:?}: {path}: {cause}")]
    Unreadable {
        /// `secret` or `config`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// An owner is no number.
    #[error("{kind} {name:?}: {text:?} is no number of a user or group")]
    Owner {
        /// `secret` or `config`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What stands there.
        text: String,
    },
}

/// Whether a file is mounted rather than copied.
pub(crate) fn is_bound(local: bool, grant: &Grant) -> bool {
    local && grant.uid.is_empty() && grant.gid.is_empty() && grant.mode.is_none()
}

/// The path in the container.
pub(crate) fn target(kind: &str, grant: &Grant) -> String {
    let folder = if kind == "secret" { "/run/secrets/" } else { "/" };
    match grant.target.as_str() {
        "" => format!("{folder}{}", grant.source),
        path if path.starts_with('/') => path.to_owned(),
        name => format!("{folder}{name}"),
    }
}

/// Copies what is not mounted into the container, which does not run yet.
pub(crate) async fn copy(scene: &Scene<'_>, service: &Service, container: &str) -> Result<(), Failed> {
    let mut tar = Writer::new(Vec::new());
    let mut some = false;
    for (kind, grant, name, source) in granted(scene.project, service) {
        let Some(bytes) = content(scene, kind, grant, name, source)? else { continue };
        if service.read_only {
            return Err(Ungranted::ReadOnly { kind, name: name.into(), service: service.name.clone() }.into());
        }
        let number = |text: &str| match text {
            "" => Ok(0),
            text => text.parse().map_err(|_| Ungranted::Owner { kind, name: name.into(), text: text.into() }),
        };
        let mut entry = Entry::file(target(kind, grant).trim_start_matches('/'), bytes.len() as u64);
        entry.uid = number(&grant.uid)?;
        entry.gid = number(&grant.gid)?;
        entry.mode = grant.mode.map_or(0o444, |mode| mode.0);
        tar.append_bytes(&entry, &bytes).map_err(broken)?;
        some = true;
    }
    if !some {
        return Ok(());
    }
    let tar = tar.finish().map_err(broken)?;
    let query =
        Query::new().with("path", "/").with("copyUIDGID", "true").with("noOverwriteDirNonDir", "true");
    Ok(scene.client.container_unpack(container, query, Body::bytes(tar)).await?)
}

fn broken(cause: impl std::fmt::Display) -> Failed {
    Failed::Client(ClientError::Protocol(cause.to_string()))
}

fn granted<'p>(
    project: &'p Project,
    service: &'p Service,
) -> impl Iterator<Item = (&'static str, &'p Grant, &'p str, &'p Source)> {
    let secrets = service.secrets.iter().filter_map(|grant| {
        let secret = project.secrets.get(&grant.source)?;
        Some(("secret", grant, secret.name.as_str(), &secret.source))
    });
    let configs = service.configs.iter().filter_map(|grant| {
        let config = project.configs.get(&grant.source)?;
        Some(("config", grant, config.name.as_str(), &config.source))
    });
    secrets.chain(configs)
}

fn content(
    scene: &Scene<'_>,
    kind: &'static str,
    grant: &Grant,
    name: &str,
    source: &Source,
) -> Result<Option<Vec<u8>>, Ungranted> {
    match source {
        Source::Content(text) => Ok(Some(text.clone().into_bytes())),
        Source::Environment { value: Some(value), .. } => Ok(Some(value.clone().into_bytes())),
        Source::Environment { name: variable, value: None } => {
            Err(Ungranted::Unset { variable: variable.clone(), kind, name: name.to_owned() })
        }
        Source::File(path) if !is_bound(scene.local, grant) => match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(cause) => {
                Err(Ungranted::Unreadable { kind, name: name.to_owned(), path: path.clone(), cause })
            }
        },
        _ => Ok(None),
    }
}
