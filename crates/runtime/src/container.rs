//! A container that has been created: the handle and its verbs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_cgroups::{Cgroup, Stats};
use gantry_sys::signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::Step;
use crate::gate::{self, Telling};
use crate::hooks::{self, State};
use crate::spec::Resources;
use crate::wire::{Kind, Line};
use crate::{Error, Record, Result, reap, record};

/// A created container. Dropping the handle changes nothing about the container, except that one created with
/// [`Gate::Here`](crate::Gate) and never started ends, and one with [`Gate::Folder`](crate::Gate) that was not told
/// [`keep`](Container::keep).
#[derive(Debug)]
pub struct Container {
    pub(crate) record: Record,
    pub(crate) pidfd: OwnedFd,
    pub(crate) cgroup: Cgroup,
    pub(crate) console: Option<OwnedFd>,
    pub(crate) warnings: Vec<String>,
    pub(crate) telling: Option<Telling>,
    /// Where the process listens for [`Container::keep`].
    pub(crate) line: Option<Line>,
    /// Where the gate's FIFOs are.
    pub(crate) folder: Option<PathBuf>,
    /// The compiled seccomp profile, known to whoever created the container.
    pub(crate) seccomp: Option<Vec<u8>>,
    /// The process had gone before we came: `pidfd` only stands for it.
    pub(crate) ended: bool,
}

/// As the OCI specification has it, with `Paused` beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    /// The specification's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

const SIGKILL: i32 = 9;
/// A killed process that is deep in the kernel takes its time.
const DEATH_BUDGET: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

impl Container {
    /// Finds a container again that another process created. `gate` is the folder given to
    /// [`Gate::Folder`](crate::Gate), needed to start it.
    pub fn attach(record: Record, gate: Option<&Path>) -> Result<Container> {
        let doing = || format!("looking for the process of container {}", record.id);
        let found = match Pid::from_raw(record.pid) {
            Some(pid) => match pidfd_open(pid, PidfdFlags::empty()) {
                Ok(fd) => Some(fd),
                Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => None,
                Err(e) => return Err(Error::setup(doing(), e)),
            },
            None => None,
        };
        // Asked after the descriptor is held: from then on the number cannot pass to another process.
        let found = found.filter(|_| record::start_time(record.pid) == Some(record.start_time));
        let ended = found.is_none();
        let pidfd = match found {
            Some(fd) => fd,
            // Readable for ever, like the descriptor of a process that has ended.
            None => rustix::event::eventfd(1, rustix::event::EventfdFlags::CLOEXEC).step(doing)?,
        };
        Ok(Container {
            cgroup: Cgroup::restore(&record.cgroup),
            record,
            pidfd,
            console: None,
            warnings: Vec::new(),
            telling: None,
            line: None,
            folder: gate.map(Path::to_owned),
            seccomp: None,
            ended,
        })
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

    /// The compiled seccomp profile, to be kept for exec sessions (`Exec::seccomp`); only whoever created the
    /// container knows it.
    pub fn seccomp_program(&self) -> Option<&[u8]> {
        self.seccomp.as_deref()
    }

    /// The record is where others find it: the process may wait for its start without us. Until then it ends with us,
    /// so that a creator who is killed leaves no process that nobody knows.
    pub fn keep(&mut self) -> Result<()> {
        self.line.take().map_or(Ok(()), |line| line.tell(Kind::Kept, None))
    }

    /// The container's control group.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Lets the created process execute the command; returns when the kernel has accepted it, or why not.
    /// Then runs the poststart hooks; a hook that fails is among the warnings.
    pub fn start(&mut self) -> Result<()> {
        let telling = match (self.telling.take(), &self.folder) {
            (Some(telling), _) => telling,
            (None, Some(folder)) => match self.status()? {
                Status::Created => Telling::open(folder)?
                    .ok_or_else(|| Error::WrongState("cannot start a container that has stopped".into()))?,
                Status::Stopped => {
                    return Err(Error::WrongState("cannot start a container that has stopped".into()));
                }
                _ => return Err(Error::WrongState("cannot start an already running container".into())),
            },
            (None, None) => {
                return Err(Error::WrongState("cannot start an already running container".into()));
            }
        };
        self.keep()?;
        let accepted = telling.go();
        if let Some(folder) = &self.folder {
            Telling::shut(folder)?;
        }
        accepted?;
        if let Err(e) = hooks::run("poststart", &self.record.hooks.poststart, &self.state("running")) {
            self.warnings.push(e.to_string());
        }
        Ok(())
    }

    /// What the container is doing now, asked from the kernel.
    pub fn status(&self) -> Result<Status> {
        if self.ended || reap::has_ended(&self.pidfd) {
            return Ok(Status::Stopped);
        }
        let waiting = match &self.folder {
            Some(folder) => Telling::is_awaited(folder)?,
            None => self.telling.is_some(),
        };
        if waiting {
            return Ok(Status::Created);
        }
        // A folder that has gone under a running process cannot be frozen.
        Ok(if self.cgroup.is_frozen().unwrap_or(false) { Status::Paused } else { Status::Running })
    }

    /// A signal for the first process.
    pub fn kill(&self, signal: i32) -> Result<()> {
        let not_running = || Error::WrongState("container not running".into());
        if self.ended || reap::has_ended(&self.pidfd) {
            return Err(not_running());
        }
        match signals::send(&self.pidfd, signal) {
            Err(e) if e.raw_os_error() == Some(3) => return Err(not_running()),
            other => other.step(|| format!("sending signal {signal}"))?,
        }
        // A frozen process of cgroup version 1 dies only when it is thawed.
        if signal == SIGKILL && self.cgroup.is_frozen().unwrap_or(false) {
            self.cgroup.thaw()?;
        }
        Ok(())
    }

    /// A signal for every process of the container's cgroup.
    pub fn kill_all(&self, signal: i32) -> Result<()> {
        Ok(self.cgroup.signal_all(signal)?)
    }

    /// Freezes every process; returns when they are frozen.
    pub fn pause(&self) -> Result<()> {
        match self.status()? {
            Status::Running | Status::Created => Ok(self.cgroup.freeze()?),
            status => {
                Err(Error::WrongState(format!("container not running or created: {}", status.as_str())))
            }
        }
    }

    /// Undoes [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        if !self.cgroup.is_frozen()? {
            return Err(Error::WrongState("container not paused".into()));
        }
        Ok(self.cgroup.thaw()?)
    }

    /// Changes limits; answers what could not be changed and need not fail.
    pub fn update(&self, resources: &Resources) -> Result<Vec<String>> {
        if self.status()? == Status::Stopped {
            return Err(Error::WrongState("container not running".into()));
        }
        Ok(self.cgroup.set(resources)?)
    }

    /// Every process of the container, in the caller's pid namespace.
    pub fn processes(&self) -> Result<Vec<i32>> {
        Ok(self.cgroup.processes()?)
    }

    /// What the cgroup has counted.
    pub fn stats(&self) -> Result<Stats> {
        Ok(self.cgroup.stats()?)
    }

    /// How often the kernel has killed for want of memory; `None` where it does not count.
    pub fn oom_kills(&self) -> Option<u64> {
        self.cgroup.oom_kills()
    }

    /// Kills what is left, removes the cgroup, runs the poststop hooks (one that fails is among the warnings).
    /// The caller may reap the first process before or after. Doing it twice is no error.
    pub fn delete(&mut self) -> Result<()> {
        if !self.ended && !reap::has_ended(&self.pidfd) {
            signals::send(&self.pidfd, SIGKILL).step(|| "killing the container")?;
            if self.cgroup.is_frozen().unwrap_or(false) {
                self.cgroup.thaw()?;
            }
            // Whoever waits at the gate dies as well as whoever runs.
            let ended = poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&DEATH_BUDGET));
            if ended == Ok(0) {
                return Err(Error::WrongState("the container's process does not die".into()));
            }
        }
        self.cgroup.signal_all(SIGKILL)?;
        self.cgroup.remove()?;
        if let Some(folder) = &self.folder {
            gate::remove(folder)?;
        }
        let hooks = std::mem::take(&mut self.record.hooks.poststop);
        if let Err(e) = hooks::run("poststop", &hooks, &self.state("stopped")) {
            self.warnings.push(e.to_string());
        }
        Ok(())
    }

    pub(crate) fn state<'s>(&'s self, status: &'s str) -> State<'s> {
        State {
            oci_version: &self.record.oci_version,
            id: &self.record.id,
            status,
            pid: (status != "stopped").then_some(self.record.pid),
            bundle: &self.record.bundle,
            annotations: &self.record.annotations,
        }
    }
}
