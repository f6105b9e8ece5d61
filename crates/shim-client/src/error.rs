//! What can go wrong between an engine and a shim.

use std::io;

use gantry_errdefs::{Class, Classified};
use gantry_shim_protocol::{Failure, FrameError};

/// A request to a shim that was not done.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The shim said no, and why.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// There is no shim any more: it has exited, or was killed. The container's end is in its exit record.
    #[error("shim is gone")]
    Gone,
    /// It did not answer in time.
    #[error("shim does not answer")]
    Silent,
    /// It stands still, so it will not answer.
    #[error("the container's shim is stopped: wake it with `kill -CONT {0}`, or kill the container")]
    Stopped(u32),
    /// It speaks, but not our language.
    #[error("shim sent something unexpected: {0}")]
    Unexpected(String),
    /// What the caller wants to say is too long for a frame.
    #[error(transparent)]
    Frame(FrameError),
    /// The connection failed.
    #[error("shim connection")]
    Io(#[source] io::Error),
}

impl From<io::Error> for ShimError {
    fn from(err: io::Error) -> ShimError {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof,
        };
        match err.kind() {
            BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | NotFound
            | UnexpectedEof => ShimError::Gone,
            _ => ShimError::Io(err),
        }
    }
}

impl From<FrameError> for ShimError {
    fn from(err: FrameError) -> ShimError {
        match err {
            FrameError::Io(err) => err.into(),
            FrameError::CutShort => ShimError::Gone,
            FrameError::NotUnderstood(err) => ShimError::Unexpected(err.to_string()),
            FrameError::TooLong(_) => ShimError::Frame(err),
        }
    }
}

impl Classified for ShimError {
    fn class(&self) -> Class {
        match self {
            ShimError::Failed(failure) => failure.class,
            ShimError::Gone => Class::NotFound,
            ShimError::Silent | ShimError::Stopped(_) => Class::Unavailable,
            ShimError::Frame(_) => Class::InvalidArgument,
            ShimError::Unexpected(_) => Class::Internal,
            ShimError::Io(err) => err.class(),
        }
    }
}

/// A container that was not created. Nothing of it is left but the bundle's files, for the log's sake: call
/// [`crate::Shims::remove`].
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The bundle could not be written.
    #[error("bundle")]
    Bundle(#[source] io::Error),
    /// The shim could not be executed.
    #[error("execute shim")]
    Execute(#[source] io::Error),
    /// The container could not be created (or started, where that was asked): class, Docker's text, exit code.
    #[error(transparent)]
    Failed(Failure),
    /// The shim died before it answered; what it said last.
    #[error("shim died before it answered: {0}")]
    Died(String),
}

impl Classified for SpawnError {
    fn class(&self) -> Class {
        match self {
            SpawnError::Bundle(err) | SpawnError::Execute(err) => err.class(),
            SpawnError::Failed(failure) => failure.class,
            SpawnError::Died(_) => Class::Internal,
        }
    }
}
