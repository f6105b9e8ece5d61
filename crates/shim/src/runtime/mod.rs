//! Who makes the container: our own runtime, linked in, or a program with the OCI command line.

mod foreign;
mod images;
mod own;
mod rootfs;

use std::os::fd::OwnedFd;
use std::path::Path;

use gantry_errdefs::{Class, Classified};
use gantry_shim_protocol::{Failure, RuntimeSpec, ShimConfig};

pub(crate) use foreign::{Foreign, end as end_foreign};
pub(crate) use own::{Own, end_recorded};

/// Takes away what [`open`] mounted.
pub(crate) fn close(bundle: &Path, config: &ShimConfig) {
    rootfs::unmount(bundle, &config.root);
    images::unmount(bundle, &config.images);
}

/// A container's runtime. Every process it makes becomes a child of ours.
pub(crate) trait Runtime {
    /// Makes the container; its first process waits for [`Runtime::start`].
    fn create(&mut self, stdio: Stdio) -> Result<Made, Failure>;
    /// Lets the first process execute its program.
    fn start(&mut self) -> Result<(), Failure>;
    /// Puts a process beside it; `session` is a name for files.
    fn exec(&mut self, session: &str, process: &serde_json::Value, stdio: Stdio) -> Result<Made, Failure>;
    /// Signals every process of the container.
    fn kill_all(&mut self, signal: i32) -> Result<(), Failure>;
    /// Freezes it.
    fn pause(&mut self) -> Result<(), Failure>;
    /// Thaws it.
    fn resume(&mut self) -> Result<(), Failure>;
    /// Changes limits: OCI `linux.resources`.
    fn update(&mut self, resources: &serde_json::Value) -> Result<(), Failure>;
    /// Kills what is left, removes cgroup and state. Twice is fine.
    fn delete(&mut self) -> Result<(), Failure>;
}

/// What a new process gets as stdin, stdout and stderr.
#[derive(Debug)]
pub(crate) enum Stdio {
    /// A terminal; its master comes back.
    Terminal,
    /// These.
    Files { stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd },
}

/// A process that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub pid: i32,
    /// The master of its terminal, if it has one.
    pub console: Option<OwnedFd>,
}

/// The runtime that a configuration asks for.
pub(crate) fn open(bundle: &Path, config: &ShimConfig) -> Result<Box<dyn Runtime>, Failure> {
    images::mount(bundle, &config.images)?;
    Ok(match &config.runtime {
        RuntimeSpec::Own { .. } => Box::new(Own::new(bundle, config)),
        RuntimeSpec::Foreign { path, args, root } => {
            std::fs::metadata(path).map_err(|err| failure(&format!("runtime {}", path.display()), &err))?;
            if let Some(root) = rootfs::mount(bundle, &config.root)? {
                rootfs::point_spec_to(bundle, &root)?;
            }
            Box::new(Foreign::new(bundle, config.id.as_str(), path, args, root))
        }
    })
}

/// Any error as a failure.
pub(crate) fn failure(what: &str, err: &(impl Classified + 'static)) -> Failure {
    Failure::new(err.class(), format!("{what}: {}", gantry_errdefs::chain(err)))
}

pub(crate) fn not_understood(what: &str, err: &serde_json::Error) -> Failure {
    Failure::new(Class::InvalidArgument, format!("{what}: {err}"))
}
