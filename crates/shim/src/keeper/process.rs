//! A process of the container that we hold the streams of.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use gantry_names::ExecId;
use gantry_shim_protocol::{ExecSpec, ExitRecord};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::runtime::Stdio;
use crate::settle::dev_null;

/// How much of a container's output the kernel holds for us: more at once is fewer wake-ups. Pages are used only while
/// they are full.
const PIPE: usize = 256 << 10;

/// Its life.
#[derive(Debug)]
pub(super) enum Life {
    /// A session that is only prepared.
    Prepared(Box<ExecSpec>),
    /// It runs, or waits to be started.
    Running { pid: i32 },
    /// It has ended; its output may not be read to the end.
    Drains { record: ExitRecord, since: Instant },
    /// Its output is read; attachments may not have it all.
    Flushes { record: ExitRecord, since: Instant },
}

/// The container's first process, or a session.
#[derive(Debug)]
pub(super) struct Process {
    /// `None`: the first.
    pub session: Option<ExecId>,
    pub tty: bool,
    pub life: Life,
    pub stdin: Option<Input>,
    /// Standard output (or the terminal) and standard error.
    pub outputs: [Option<OwnedFd>; 2],
    /// Connections that are attached.
    pub attached: Vec<u64>,
    /// Its program could not be executed: what it exits with, whatever the waiting process says.
    pub forced_code: Option<i32>,
}

/// Our end of a standard input, with what it has not taken yet.
#[derive(Debug)]
pub(super) struct Input {
    pub fd: OwnedFd,
    pub buffer: Vec<u8>,
    /// Close it once the buffer is empty.
    pub closing: bool,
}

/// Our ends of a new process' streams.
#[derive(Debug)]
pub(super) struct Streams {
    stdin: Option<OwnedFd>,
    outputs: [Option<OwnedFd>; 2],
    wants_stdin: bool,
}

impl Streams {
    /// Makes both ends; a terminal's come later, from the runtime.
    pub fn make(tty: bool, stdin: bool) -> io::Result<(Stdio, Streams)> {
        if tty {
            return Ok((Stdio::Terminal, Streams { stdin: None, outputs: [None, None], wants_stdin: stdin }));
        }
        let (stdin_theirs, stdin_ours) = if stdin {
            let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
            fcntl_setfl(&ours, OFlags::NONBLOCK)?;
            (theirs, Some(ours))
        } else {
            (dev_null()?, None)
        };
        let (stdout_ours, stdout) = output_pipe()?;
        let (stderr_ours, stderr) = output_pipe()?;
        let outputs = [Some(stdout_ours), Some(stderr_ours)];
        let streams = Streams { stdin: stdin_ours, outputs, wants_stdin: stdin };
        Ok((Stdio::Files { stdin: stdin_theirs, stdout, stderr }, streams))
    }
}

fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&ours, OFlags::NONBLOCK)?;
    // A host that gives us less is slower, nothing else.
    let _ = fcntl_setpipe_size(&ours, PIPE);
    Ok((ours, theirs))
}

impl Process {
    pub fn new(session: Option<ExecId>, tty: bool, life: Life) -> Process {
        Process {
            session,
            tty,
            life,
            stdin: None,
            outputs: [None, None],
            attached: Vec::new(),
            forced_code: None,
        }
    }

    /// Takes our ends of its streams.
    pub fn join(
        &mut self,
        streams: Streams,
        console: Option<OwnedFd>,
        size: Option<(u16, u16)>,
    ) -> io::Result<()> {
        let Streams { mut stdin, mut outputs, wants_stdin } = streams;
        if let Some(master) = console {
            fcntl_setfl(&master, OFlags::NONBLOCK | OFlags::RDWR)?;
            if let Some((height, width)) = size {
                resize(&master, height, width)?;
            }
            stdin = if wants_stdin { Some(master.try_clone()?) } else { None };
            outputs = [Some(master), None];
        }
        self.stdin = stdin.map(|fd| Input { fd, buffer: Vec::new(), closing: false });
        self.outputs = outputs;
        Ok(())
    }

    /// Its process, while there is one.
    pub fn pid(&self) -> Option<i32> {
        match self.life {
            Life::Running { pid } => Some(pid),
            _ => None,
        }
    }

    /// Closes the standard input once all of it is written. A terminal has no end of input.
    pub fn close_stdin(&mut self) {
        if self.tty {
            return;
        }
        match &mut self.stdin {
            Some(input) if !input.buffer.is_empty() => input.closing = true,
            _ => self.stdin = None,
        }
    }
}

/// Sets a terminal's size.
pub(super) fn resize(master: impl AsFd, height: u16, width: u16) -> io::Result<()> {
    Ok(tcsetwinsize(master, Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 })?)
}
