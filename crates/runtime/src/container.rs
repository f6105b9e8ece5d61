//! A container that has been created: the handle and its verbs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use gantry_cgroups::{Cgroup, Stats};

use crate::spec::{Process, Resources};
use crate::{Error, Record, Result, Stdio};

/// A created container. Dropping the handle changes nothing about the container.
#[derive(Debug)]
pub struct Container {
    pub(crate) record: Record,
    pub(crate) pidfd: OwnedFd,
    pub(crate) cgroup: Cgroup,
    pub(crate) console: Option<OwnedFd>,
    pub(crate) warnings: Vec<String>,
}

/// As the OCI specification has it, with `Paused` beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Created,
    Running,
    Paused,
    Stopped,
}

/// A further process for a running container.
#[derive(Debug)]
pub struct Exec<'a> {
    pub process: &'a Process,
    pub stdio: Stdio,
    /// Compiled seccomp program, as in [`Create`](crate::Create).
    pub seccomp: Option<&'a [u8]>,
    /// Descriptors 3..3+n stay open.
    pub preserve_fds: u32,
    /// A folder below the container's cgroup to run in.
    pub sub_cgroup: Option<&'a str>,
}

/// A process put beside the first one. It is a child of the caller, to be reaped by the caller.
#[derive(Debug)]
pub struct Session {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) console: Option<OwnedFd>,
}

impl Session {
    /// In the caller's pid namespace.
    pub fn pid(&self) -> i32 {
        self.pid
    }
    /// Readable when the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
    /// The terminal's master, once, when there is one.
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }
}

impl Container {
    /// Finds a container again that another process created. `gate` is the folder given to
    /// [`Gate::Folder`](crate::Gate), needed to start it.
    pub fn attach(_record: Record, _gate: Option<&Path>) -> Result<Container> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// The first process, in the caller's pid namespace.
    pub fn pid(&self) -> i32 {
        self.record.pid
    }
    /// Readable when the first process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
    /// The terminal's master, once, when there is one.
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }
    /// What could not be done as asked and was not worth failing for, in sentences. Tell them.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
    /// What to keep on disk.
    pub fn record(&self) -> &Record {
        &self.record
    }
    /// Lets the created process execute the command; returns when the kernel has accepted it, or why not.
    /// Then runs the poststart hooks.
    pub fn start(&mut self) -> Result<()> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// What the container is doing now, asked from the kernel.
    pub fn status(&self) -> Result<Status> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// Runs a further process; returns when the kernel has accepted its command, or why not.
    pub fn exec(&self, _exec: Exec<'_>) -> Result<Session> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// A signal for the first process.
    pub fn kill(&self, _signal: i32) -> Result<()> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// A signal for every process of the container's cgroup.
    pub fn kill_all(&self, _signal: i32) -> Result<()> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// Freezes every process; returns when they are frozen.
    pub fn pause(&self) -> Result<()> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// Undoes [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// Changes limits; answers what could not be changed and need not fail.
    pub fn update(&self, _resources: &Resources) -> Result<Vec<String>> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// Every process of the container, in the caller's pid namespace.
    pub fn processes(&self) -> Result<Vec<i32>> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// What the cgroup has counted.
    pub fn stats(&self) -> Result<Stats> {
        Err(Error::Unsupported("not built yet".into()))
    }
    /// How often the kernel has killed for want of memory; `None` where it does not count.
    pub fn oom_kills(&self) -> Option<u64> {
        None
    }
    /// Kills what is left, removes the cgroup, runs the poststop hooks. The caller may reap the first process
    /// before or after. Doing it twice is no error.
    pub fn delete(&mut self) -> Result<()> {
        Err(Error::Unsupported("not built yet".into()))
    }
}
