//! Refusals and failures, in Docker's words.

use std::io;

use gantry_errdefs::{Class, Classified};
use gantry_store::StoreError;

/// Why a volume verb did not happen.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// No such name.
    #[error("get {0}: no such volume")]
    NotFound(String),
    /// A name that could leave the folder or confuse a shell.
    #[error(
        "create {0}: \"{0}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" \
         are allowed. If you intended to pass a host directory, use absolute path"
    )]
    Name(String),
    /// A name of one character.
    #[error("create {0}: volume name is too short, names should be at least two alphanumeric characters")]
    Short(String),
    /// Only `local` exists.
    #[error("create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found")]
    Driver {
        /// The volume.
        name: String,
        /// The driver asked for.
        driver: String,
    },
    /// A container, running or not, names it.
    #[error("remove {name}: volume is in use - [{users}]")]
    InUse {
        /// The volume.
        name: String,
        /// Ids, separated by a comma.
        users: String,
    },
    /// An option the local driver does not know.
    #[error("create {name}: invalid option: \"{option}\"")]
    Option {
        /// The volume.
        name: String,
        /// The option.
        option: String,
    },
    /// `type` and `device` need each other.
    #[error("create {name}: missing required option: \"{option}\"")]
    MissingOption {
        /// The volume.
        name: String,
        /// The option.
        option: &'static str,
    },
    /// The driver's mount failed.
    #[error(
        "error while mounting volume '{path}': failed to mount local volume: mount {device}:{path}{data}: {cause}"
    )]
    Mount {
        /// Where.
        path: String,
        /// What.
        device: String,
        /// The options, after a comma.
        data: String,
        /// The kernel's word.
        #[source]
        cause: io::Error,
    },
    /// A folder inside the volume that is not there or leads out of it.
    #[error("cannot access path {path}: {cause}")]
    Subpath {
        /// The path.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A filter Docker does not know.
    #[error("invalid filter '{0}'")]
    Filter(String),
    /// A filter's value Docker does not know.
    #[error("invalid filter '{0}={1}'")]
    FilterValue(String, String),
    /// The file system failed.
    #[error("volume {name}: {what}: {cause}")]
    Io {
        /// The volume.
        name: String,
        /// What was tried.
        what: &'static str,
        /// The kernel's word.
        #[source]
        cause: io::Error,
    },
    /// The record could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classified for VolumeError {
    fn class(&self) -> Class {
        match self {
            VolumeError::NotFound(_) | VolumeError::Driver { .. } => Class::NotFound,
            VolumeError::InUse { .. } => Class::Conflict,
            VolumeError::Name(_)
            | VolumeError::Short(_)
            | VolumeError::Option { .. }
            | VolumeError::MissingOption { .. }
            | VolumeError::Filter(_)
            | VolumeError::FilterValue(..)
            | VolumeError::Subpath { .. } => Class::InvalidArgument,
            VolumeError::Mount { .. } => Class::Internal,
            VolumeError::Io { cause, .. } => match cause.class() {
                Class::Unavailable => Class::Unavailable,
                _ => Class::Internal,
            },
            VolumeError::Store(err) => err.class(),
        }
    }
}

pub(crate) fn io_of<'a>(name: &'a str, what: &'static str) -> impl FnOnce(io::Error) -> VolumeError + 'a {
    move |cause| VolumeError::Io { name: name.to_owned(), what, cause }
}
