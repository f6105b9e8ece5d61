//! What can go wrong with a container, in Docker's and runc's words where clients match on them.

use std::io;

use gantry_errdefs::{Class, Classified};

/// The result of every operation here.
pub type Result<T> = std::result::Result<T, Error>;

/// A container that could not be made, or a verb that it refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command is not there: exit code 127.
    #[error("{0}")]
    CommandNotFound(String),
    /// The command is there and cannot be executed: exit code 126.
    #[error("{0}")]
    CommandNotExecutable(String),
    /// The configuration can never work.
    #[error("{0}")]
    InvalidSpec(String),
    /// This build or this kernel cannot do what was asked.
    #[error("{0}")]
    Unsupported(String),
    /// The container is not in a state for this.
    #[error("{0}")]
    WrongState(String),
    /// A step of the set-up failed; `step` says which, in words.
    #[error("{step}: {}", plain(cause))]
    Setup {
        /// What was being done, as a clause: `error mounting "proc" to rootfs at "/proc"`.
        step: String,
        /// What the kernel said; part of the text, so it is no `source` too.
        cause: io::Error,
    },
    /// A hook failed or took too long.
    #[error("error running {stage} hook #{index}: {message}")]
    Hook {
        /// `prestart`, `createRuntime`, ...
        stage: String,
        /// Which of the stage's hooks, from 0.
        index: usize,
        /// What happened, with what it wrote on stderr.
        message: String,
    },
    /// The control group could not be made, changed or removed.
    #[error(transparent)]
    Cgroup(#[from] gantry_cgroups::Error),
    /// The seccomp profile cannot be compiled.
    #[error("seccomp: {0}")]
    Seccomp(#[from] gantry_seccomp::Error),
}

impl Error {
    /// What Docker makes of a start that failed so: 127, 126 or 125.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::CommandNotFound(_) => 127,
            Error::CommandNotExecutable(_) => 126,
            _ => 125,
        }
    }

    pub(crate) fn setup(step: impl Into<String>, cause: impl Into<io::Error>) -> Self {
        Error::Setup { step: step.into(), cause: cause.into() }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Error::CommandNotFound(_) | Error::CommandNotExecutable(_) | Error::InvalidSpec(_) => {
                Class::InvalidArgument
            }
            Error::Unsupported(_) => Class::NotImplemented,
            Error::WrongState(_) => Class::Conflict,
            Error::Setup { cause, .. } => cause.class(),
            Error::Hook { .. } => Class::Internal,
            Error::Cgroup(e) => e.class(),
            Error::Seccomp(_) => Class::InvalidArgument,
        }
    }
}

/// The kernel's word as Go prints it, which clients match on: `no such file or directory`.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match (error.raw_os_error(), letters.next()) {
        (Some(_), Some(first)) => first.to_lowercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

/// Adds the step to a system call's result.
pub(crate) trait Step<T> {
    /// The clause is only made when it is needed.
    fn step<S: Into<String>>(self, step: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<io::Error>> Step<T> for std::result::Result<T, E> {
    fn step<S: Into<String>>(self, step: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| Error::setup(step(), e))
    }
}
