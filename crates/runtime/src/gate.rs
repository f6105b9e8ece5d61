//! How a created process is told to go on, and tells whether its command was accepted.
//!
//! Two pipes, or two FIFOs in a folder when another process will do the telling. The waiting side needs nothing
//! but read, write and execve: it may already be under a seccomp filter.
//! The process reads one byte from `start`; then execve closes its end of `result` (accepted), or it writes
//! the error there first.
//!
//! Whether somebody waits is asked from the kernel: a FIFO without a reader cannot be opened for writing. So a teller that
//! is killed half way leaves nothing untrue behind.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::Step;
use crate::{Error, Gate, Result, wire};

/// The new process's side.
#[derive(Debug)]
pub(crate) struct Waiting {
    start: File,
    result: File,
    /// Whoever made the process leaves, and another one will say go.
    left_alone: bool,
}

/// The side that tells.
#[derive(Debug)]
pub(crate) struct Telling {
    start: File,
    result: File,
}

const START: &str = "start";
const RESULT: &str = "result";

/// Makes both sides; with FIFOs the telling side is opened later, by [`Telling::open`].
pub(crate) fn make(gate: Gate<'_>) -> Result<(Waiting, Option<Telling>)> {
    match gate {
        Gate::Here => {
            let (start_out, start_in) = pipe_with(PipeFlags::CLOEXEC).step(|| "making the start pipe")?;
            let (result_out, result_in) = pipe_with(PipeFlags::CLOEXEC).step(|| "making the start pipe")?;
            let waiting = Waiting { start: start_out.into(), result: result_in.into(), left_alone: false };
            Ok((waiting, Some(Telling { start: start_in.into(), result: result_out.into() })))
        }
        Gate::Folder(folder) => {
            // Both ends in one descriptor: opening does not block and reading never meets an end.
            let fifo = |name: &str| -> Result<File> {
                let path = folder.join(name);
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    &path,
                    rustix::fs::FileType::Fifo,
                    Mode::from_raw_mode(0o600),
                    0,
                )
                .step(|| format!("making {}", path.display()))?;
                let fd = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                    .step(|| format!("opening {}", path.display()))?;
                Ok(fd.into())
            };
            Ok((Waiting { start: fifo(START)?, result: fifo(RESULT)?, left_alone: true }, None))
        }
    }
}

/// Takes both FIFOs away.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    for name in [START, RESULT] {
        match std::fs::remove_file(folder.join(name)) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(Error::setup("removing the start gate", e));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Waiting {
    pub(crate) fn into_fds(self) -> (OwnedFd, OwnedFd) {
        (self.start.into(), self.result.into())
    }

    pub(crate) fn from_fds(start: OwnedFd, result: OwnedFd, left_alone: bool) -> Self {
        Waiting { start: start.into(), result: result.into(), left_alone }
    }

    /// Whether it must first hear that it can be found again: see [`Kind::Kept`](crate::wire::Kind).
    pub(crate) fn is_left_alone(&self) -> bool {
        self.left_alone
    }

    /// Blocks until somebody says go. `false`: whoever could say it has gone.
    pub(crate) fn wait(&mut self) -> bool {
        let mut byte = [0u8; 1];
        matches!(self.start.read(&mut byte), Ok(1))
    }

    /// Tells why the command was not executed. Nobody listening is no failure of ours.
    pub(crate) fn fail(&mut self, error: &Error) {
        let _ = self.result.write_all(&wire::encode(error));
    }
}

impl Telling {
    /// The telling side of the FIFOs in that folder. `None`: nobody waits there any more.
    pub(crate) fn open(folder: &Path) -> Result<Option<Telling>> {
        let open = |name: &str, flags: OFlags| {
            rustix::fs::open(folder.join(name), flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
        };
        let result: OwnedFd = match open(RESULT, OFlags::RDONLY) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            other => other.step(|| "opening the start gate")?,
        };
        let start = match open(START, OFlags::WRONLY) {
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NXIO) => return Ok(None),
            other => other.step(|| "opening the start gate")?,
        };
        rustix::io::ioctl_fionbio(&result, false).step(|| "opening the start gate")?;
        Ok(Some(Telling { start: start.into(), result: result.into() }))
    }

    /// Takes the start FIFO away: the kernel lets go of what execve closes a moment after it has told so.
    pub(crate) fn shut(folder: &Path) -> Result<()> {
        match std::fs::remove_file(folder.join(START)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::setup("closing the start gate", e)),
            _ => Ok(()),
        }
    }

    /// Whether a process still waits behind the FIFOs in that folder.
    pub(crate) fn is_awaited(folder: &Path) -> Result<bool> {
        Telling::open(folder).map(|telling| telling.is_some())
    }

    /// Says go and waits until the command is accepted.
    pub(crate) fn go(mut self) -> Result<()> {
        match self.start.write_all(b"1") {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                return Err(Error::WrongState("the container's process has gone".into()));
            }
            other => other.step(|| "opening the start gate")?,
        }
        let mut answer = Vec::new();
        self.result.read_to_end(&mut answer).step(|| "waiting for the command to be accepted")?;
        if answer.is_empty() { Ok(()) } else { Err(wire::decode(&answer)) }
    }
}
