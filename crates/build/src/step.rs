//! What a build needs from outside: somebody who runs a process in a root, and somebody who finds base images.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use gantry_errdefs::Class;
use gantry_names::{ContainerId, ImageId, Platform, Reference};

use crate::progress::Output;
use crate::request::{Caller, StepLimits};

/// A future that may be sent to another thread.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One RUN, ready to go.
#[derive(Debug, Clone)]
pub struct Step {
    /// The key of the active snapshot that is its root; what it writes stays there. Also the step's own id.
    pub snapshot: ContainerId,
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

/// A base image that is wanted.
#[derive(Debug, Clone)]
pub struct ImageWanted {
    /// As the Dockerfile names it.
    pub name: String,
    /// The platform; none: this machine's.
    pub platform: Option<Platform>,
    /// Ask the registry also for one that is here.
    pub pull: bool,
    /// Who has credentials.
    pub caller: Arc<dyn Caller>,
}

/// What the daemon provides to builds.
pub trait Outside: Send + Sync {
    /// Runs a step to its end and gives its exit code. Nothing of the process is left when this returns; when it is dropped,
    /// the process ends and what it used is given back, its snapshot included.
    fn run(&self, step: Step, output: Output) -> Task<'_, Result<i32, Refusal>>;

    /// Finds a base image, from a registry where it is not here or `pull` asks for it. Progress goes to `output`.
    fn image(&self, wanted: ImageWanted, output: Output) -> Task<'_, Result<ImageId, Refusal>>;

    /// An image has got a name.
    fn tagged(&self, image: &ImageId, name: &Reference);

    /// Removes an image of the builder's own, unless a container uses it.
    fn discard(&self, image: ImageId) -> Task<'_, ()>;
}
