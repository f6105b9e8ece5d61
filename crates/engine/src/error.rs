//! What the engine refuses and what fails, in Docker's words.

use std::io;

use gantry_errdefs::{Class, Classified};

/// A verb that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No container of that name, id or prefix.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// A prefix of several ids.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// No exec session of that id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// Something inside a container is not there.
    #[error("{0}")]
    NotFound(String),
    /// A name that is taken.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You have to remove (or \
         rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name.
        name: String,
        /// The full id of who has it.
        owner: String,
    },
    /// The container's state does not allow it.
    #[error(transparent)]
    Refused(#[from] crate::admission::Refusal),
    /// Two things fight.
    #[error("{0}")]
    Conflict(String),
    /// The request can never succeed as written.
    #[error("{0}")]
    Invalid(String),
    /// It may not be done.
    #[error("{0}")]
    Forbidden(String),
    /// This build or machine cannot do it.
    #[error("{0}")]
    NotImplemented(String),
    /// Something needed is away.
    #[error("{0}")]
    Unavailable(String),
    /// The container's process could not be started.
    #[error("{text}")]
    Start {
        /// Docker's text.
        text: String,
        /// 125, 126, 127 or 128.
        code: i32,
        /// What kind of failure.
        class: Class,
    },
    /// The file system failed.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried.
        what: String,
        /// The kernel's word.
        #[source]
        cause: io::Error,
    },
    /// The image store's.
    #[error(transparent)]
    Image(#[from] gantry_images::Error),
    /// A registry's.
    #[error(transparent)]
    Registry(#[from] gantry_distribution::RegistryError),
    /// The volumes'.
    #[error(transparent)]
    Volume(#[from] gantry_volumes::VolumeError),
    /// The networks'.
    #[error(transparent)]
    Network(Box<gantry_network::Error>),
    /// The networks', while a container starts.
    #[error("failed to set up container networking: {0}")]
    Networking(#[source] Box<gantry_network::Error>),
    /// The snapshotter's.
    #[error(transparent)]
    Snapshot(#[from] gantry_snapshots::Error),
    /// The store's.
    #[error(transparent)]
    Store(#[from] gantry_store::StoreError),
    /// The shim's.
    #[error(transparent)]
    Shim(#[from] gantry_shim_client::ShimError),
    /// The bundle's.
    #[error(transparent)]
    Bundle(#[from] crate::bundle::BundleError),
    /// The user's.
    #[error(transparent)]
    User(#[from] crate::bundle::user::UserError),
}

impl From<gantry_network::Error> for Error {
    fn from(err: gantry_network::Error) -> Error {
        Error::Network(Box::new(err))
    }
}

impl Error {
    /// A network's failure at a container's start.
    pub(crate) fn networking(err: gantry_network::Error) -> Error {
        Error::Networking(Box::new(err))
    }
}

/// What an engine's verb gives.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |cause| Error::Io { what, cause }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Error::NoSuchContainer(_) | Error::NoSuchExec(_) | Error::NotFound(_) => Class::NotFound,
            Error::NameInUse { .. } | Error::Conflict(_) => Class::Conflict,
            Error::Ambiguous(_) | Error::Invalid(_) => Class::InvalidArgument,
            Error::Forbidden(_) => Class::Forbidden,
            Error::NotImplemented(_) => Class::NotImplemented,
            Error::Unavailable(_) => Class::Unavailable,
            Error::Refused(refusal) => refusal.class(),
            Error::Start { class, .. } => *class,
            Error::Io { cause, .. } => match cause.class() {
                class @ (Class::Unavailable | Class::NotFound) => class,
                _ => Class::Internal,
            },
            Error::Image(err) => err.class(),
            Error::Volume(err) => err.class(),
            Error::Registry(err) => err.class(),
            Error::Network(err) | Error::Networking(err) => err.class(),
            Error::Snapshot(err) => err.class(),
            Error::Store(err) => err.class(),
            Error::Shim(err) => err.class(),
            Error::Bundle(_) | Error::User(_) => Class::InvalidArgument,
        }
    }
}
