//! What a build needs from outside: somebody who runs a process in a root, and somebody who finds base images.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use gantry_errdefs::Class;
use gantry_names::{ImageId, Platform};

use crate::request::StepLimits;

/// A future that may be sent to another thread.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One RUN, ready to go.
#[derive(Debug, Clone)]
pub struct Step {
    /// The active snapshot that is its root; what it writes stays there.
    pub snapshot: String,
    /// The command line.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// User and group, as in the image's config.
    pub user: String,
    /// Made where missing.
    pub working_dir: String,
    /// `--network` of the RUN, else of the build.
    pub network: String,
    /// `--security=insecure`.
    pub insecure: bool,
    /// `--mount`s.
    pub mounts: Vec<StepMount>,
    /// The build's limits.
    pub limits: StepLimits,
}

/// Something a step sees beside its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepMount {
    /// A file or folder of the host.
    Bind {
        /// On the host.
        source: PathBuf,
        /// In the step.
        target: String,
        /// Writes are refused.
        read_only: bool,
    },
    /// Memory.
    Tmpfs {
        /// In the step.
        target: String,
        /// Bytes.
        size: Option<u64>,
    },
}

/// Why an outside party could not do its part: its class and its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of failure.
    pub class: Class,
    /// For the user.
    pub message: String,
}

/// Takes a step's output as it comes; the flag tells standard error.
pub type Output = Box<dyn FnMut(bool, &[u8]) + Send>;

/// What the daemon provides to builds.
pub trait Outside: Send + Sync {
    /// Runs a step to its end and gives its exit code. Nothing of the process is left when this returns or is dropped.
    fn run(&self, step: Step, output: Output) -> Task<'_, Result<i32, Refusal>>;

    /// Finds a base image, from a registry where it is not here or `pull` asks for it.
    fn image(
        &self,
        name: String,
        platform: Option<Platform>,
        pull: bool,
    ) -> Task<'_, Result<ImageId, Refusal>>;
}
