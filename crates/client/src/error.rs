//! What may go wrong between a client and its engine, in Docker's words.

use std::io;

use gantry_errdefs::{Class, Classified};

use crate::endpoint::EndpointError;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("Cannot connect to the Docker daemon at {host}. Is the docker daemon running?")]
    Unreachable {
        /// The address as the person wrote it.
        host: String,
    },
    /// The socket is there, but not for us.
    #[error("permission denied while trying to connect to the Docker daemon socket at {host}: {cause}")]
    Denied {
        /// The address as the person wrote it.
        host: String,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The transport failed in another way.
    #[error("error during connect: {cause}")]
    Connect {
        /// What the transport said, e.g. ssh's own complaint.
        cause: String,
    },
    /// The engine answered with a failure.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// The HTTP status.
        status: u16,
        /// The engine's sentence.
        message: String,
    },
    /// A stream carried an error in its midst (pull, build, load).
    #[error("{message}")]
    InStream {
        /// The engine's sentence.
        message: String,
        /// The exit code of a failed build step, else 1.
        code: i64,
    },
    /// The answer was no HTTP, or not the one the API promises.
    #[error("{0}")]
    Protocol(String),
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The address could not be understood.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The engine is older than what was asked of it.
    #[error("{0}")]
    TooOld(String),
}

impl ClientError {
    /// The HTTP status, when the engine answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Daemon { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the engine said that the thing is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}

impl Classified for ClientError {
    fn class(&self) -> Class {
        match self {
            ClientError::Daemon { status, .. } => match status {
                304 => Class::NotModified,
                400 => Class::InvalidArgument,
                401 => Class::Unauthorized,
                403 => Class::Forbidden,
                404 => Class::NotFound,
                409 => Class::Conflict,
                501 => Class::NotImplemented,
                503 => Class::Unavailable,
                _ => Class::Internal,
            },
            ClientError::Unreachable { .. } | ClientError::Connect { .. } => Class::Unavailable,
            ClientError::Denied { .. } => Class::Forbidden,
            ClientError::Endpoint(_) => Class::InvalidArgument,
            ClientError::TooOld(_) => Class::NotImplemented,
            ClientError::Io(err) => err.class(),
            ClientError::InStream { .. } | ClientError::Protocol(_) => Class::Internal,
        }
    }
}
