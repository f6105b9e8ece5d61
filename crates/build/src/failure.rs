//! Why a build fails.

use gantry_dockerfile::{ParseError, Span};
use gantry_errdefs::{Class, Classified};
use gantry_names::ImageId;
use tokio::task::JoinError;

use crate::files::FileError;
use crate::mounts::MountsError;
use crate::progress::StepNumber;
use crate::remote::RemoteError;
use crate::step::Refusal;

/// Why a build failed, and where in the file.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{}: {cause}", span.first)]
pub struct BuildError {
    /// Name of the Dockerfile.
    pub file: String,
    /// The step; zero where it was none.
    pub step: StepNumber,
    /// Lines of the instruction.
    pub span: Span,
    /// The instruction as written.
    pub instruction: String,
    /// What went wrong.
    #[source]
    pub cause: Box<Cause>,
}

/// What can go wrong with an instruction.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The file is no Dockerfile.
    #[error(transparent)]
    Syntax(ParseError),
    /// A value, once expanded, means nothing.
    #[error("{0}")]
    Value(String),
    /// An instruction needs what the caller has not granted.
    #[error("{0} is not allowed")]
    Denied(String),
    /// Files of an instruction.
    #[error("{instruction} failed: {error}")]
    File {
        /// Its name.
        instruction: &'static str,
        /// What went wrong.
        #[source]
        error: FileError,
    },
    /// A RUN ended badly.
    #[error("The command '{}' returned a non-zero code: {}", .0.command, .0.code)]
    Exit(Box<Failed>),
    /// Another machine.
    #[error("ADD failed: {0}")]
    Remote(#[from] RemoteError),
    /// Cache mounts.
    #[error(transparent)]
    Mounts(#[from] MountsError),
    /// A step could not run, or a base image could not be had.
    #[error(transparent)]
    Outside(Refusal),
    /// Images and layers.
    #[error(transparent)]
    Image(#[from] gantry_images::Error),
    /// Snapshots.
    #[error(transparent)]
    Snapshot(#[from] gantry_snapshots::Error),
    /// Another stage of the same build failed first.
    #[error("the build was cut off: another stage failed")]
    Elsewhere,
    /// A task of ours panicked.
    #[error("the build ended early: {0}")]
    Ended(JoinError),
}

/// A command that ended badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its words.
    pub command: String,
    /// Its exit code.
    pub code: i32,
    /// The last it said.
    pub output: String,
    /// The state it left, as an image that can be run.
    pub state: Option<ImageId>,
}

impl From<FileError> for Cause {
    fn from(error: FileError) -> Self {
        Cause::File { instruction: "COPY", error }
    }
}

impl Cause {
    /// The same with the instruction whose files it is about.
    pub(crate) fn of(self, instruction: &'static str) -> Self {
        match self {
            Cause::File { error, .. } => Cause::File { instruction, error },
            other => other,
        }
    }

    pub(crate) fn ended(error: JoinError) -> Self {
        Cause::Ended(error)
    }
}

impl Classified for BuildError {
    fn class(&self) -> Class {
        match &*self.cause {
            Cause::Syntax(_) | Cause::Value(_) | Cause::Exit(_) | Cause::Remote(_) => Class::InvalidArgument,
            Cause::Denied(_) => Class::Forbidden,
            Cause::File { error, .. } => error.class(),
            Cause::Outside(refusal) => refusal.class,
            Cause::Image(error) => error.class(),
            Cause::Snapshot(error) => error.class(),
            Cause::Mounts(_) | Cause::Elsewhere | Cause::Ended(_) => Class::Internal,
        }
    }
}
