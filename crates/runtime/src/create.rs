//! The first half of a container's birth: everything up to the point where only `execve` is left.

use std::path::Path;

use crate::spec::Spec;
use crate::{Container, Error, Result, RootMount, Stdio};

/// What [`create`] needs.
#[derive(Debug)]
pub struct Create<'a> {
    /// Names the cgroup where the configuration names none, and the hooks' state.
    pub id: &'a str,
    /// The folder that relative paths of the configuration start from.
    pub bundle: &'a Path,
    pub spec: &'a Spec,
    pub root: &'a RootMount,
    pub stdio: Stdio,
    pub gate: Gate<'a>,
    /// MS_MOVE instead of pivot_root, for a root on an initramfs.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// Descriptors 3..3+n stay open in the container.
    pub preserve_fds: u32,
    /// The compiled form of `linux.seccomp` (`gantry_seccomp::Program::to_bytes`), so that it need not be
    /// compiled again. Absent: it is compiled here.
    pub seccomp: Option<&'a [u8]>,
}

/// How the created process is told to go on.
#[derive(Debug, Clone, Copy)]
pub enum Gate<'a> {
    /// By the handle that [`create`] returns, in this process.
    Here,
    /// By any process, through two FIFOs made in this folder: see [`Container::attach`].
    Folder(&'a Path),
}

/// Makes the container's first process: namespaces, cgroup, root, mounts, limits, rights. It waits for
/// [`Container::start`]. On an error nothing is left behind.
///
/// The returned handle's process is a child of the caller, to be reaped by the caller.
pub fn create(_request: Create<'_>) -> Result<Container> {
    Err(Error::Unsupported("not built yet".into()))
}
