//! `mode=non-blocking`: a process aside writes the log, and the container never waits for it.
//!
//! What it has not taken waits in our memory, up to `max-buffer-size`; what comes beyond that is lost, and told. To it go
//! frames: `[1 stdout, 2 stderr][time: 8 bytes][length: 4 bytes][bytes]`, big endian; no bytes: the stream has ended.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use gantry_logs::Stream;
use gantry_shim_protocol::{ShimConfig, bundle};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, wait};

use super::Log;
use crate::Fatal;

const HEADER: usize = 13;
/// The writing process reads this much at once.
const READ: usize = 256 << 10;
/// No frame is longer: it is one read of the keeper's.
const LONGEST: usize = 4 << 20;

/// The keeper's end.
#[derive(Debug)]
pub(super) struct Aside {
    /// `None`: closed, or the process is gone.
    pipe: Option<OwnedFd>,
    /// The process, until it has ended.
    pid: Option<i32>,
    waiting: Vec<u8>,
    max: u64,
    lost: u64,
    closing: bool,
}

impl Aside {
    /// Starts the process. The keeper stands in its bundle, and so does it.
    pub fn open(max: u64) -> io::Result<Aside> {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&ours, OFlags::NONBLOCK)?;
        // It has our blocked signals, and that is right: who terminates us does not end the log, either.
        let child = Command::new("/proc/self/exe")
            .arg("--log")
            .arg(".")
            .stdin(theirs)
            .stdout(Stdio::null())
            .spawn()?;
        let pid = Some(child.id() as i32);
        Ok(Aside { pipe: Some(ours), pid, waiting: Vec::new(), max, lost: 0, closing: false })
    }

    pub fn append(&mut self, stream: Stream, at_ns: i64, bytes: &[u8]) {
        if self.pipe.is_none() || (self.waiting.len() + bytes.len()) as u64 > self.max {
            if self.lost == 0 {
                eprintln!("output is being lost: the log is slower than the container");
            }
            self.lost += bytes.len() as u64;
            return;
        }
        self.waiting.push(if stream == Stream::Stdout { 1 } else { 2 });
        self.waiting.extend_from_slice(&at_ns.to_be_bytes());
        self.waiting.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.waiting.extend_from_slice(bytes);
    }

    pub fn flush(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        while !self.waiting.is_empty() {
            match rustix::io::write(pipe, &self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(err) => {
                    eprintln!("output is being lost: the log's process is gone: {err}");
                    self.waiting.clear();
                    self.pipe = None;
                    return;
                }
            }
        }
        self.waiting = Vec::new();
        if self.lost > 0 {
            eprintln!("{} bytes of output were lost", self.lost);
            self.lost = 0;
        }
        if self.closing {
            self.pipe = None;
        }
    }

    pub fn close(&mut self) {
        self.closing = true;
        self.flush();
    }

    pub fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().filter(|_| !self.waiting.is_empty()).map(AsFd::as_fd)
    }

    pub fn is_over(&self) -> bool {
        self.pid.is_none() && self.pipe.is_none()
    }

    /// Gives up what waits; the process that has to be ended.
    pub fn abandon(&mut self) -> Option<i32> {
        self.waiting.clear();
        self.pipe = None;
        self.pid.take()
    }

    pub fn reaped(&mut self, pid: i32) {
        if self.pid == Some(pid) {
            self.pid = None;
            self.pipe = None;
        }
    }
}

/// The other process' whole life.
pub(crate) fn write_aside(path: &Path) -> Result<(), Fatal> {
    rustix::thread::set_name(c"gantry-log")?;
    let config: ShimConfig = serde_json::from_slice(&fs::read(path.join(bundle::SHIM_CONFIG))?)?;
    let mut log = Log::open_direct(&config.log)?;
    let mut from = io::stdin().lock();
    let (mut bytes, mut end) = (Vec::new(), 0);
    loop {
        bytes.resize(end + READ, 0);
        match from.read(&mut bytes[end..])? {
            0 => break,
            got => end += got,
        }
        let taken = take_frames(&mut log, &bytes[..end])?;
        bytes.copy_within(taken..end, 0);
        end -= taken;
        log.flush();
        while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
            log.reaped(pid.as_raw_nonzero().get());
        }
    }
    log.flush();
    log.abandon();
    Ok(())
}

/// Logs every whole frame; how many bytes they took.
fn take_frames(log: &mut Log, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while let Some((header, rest)) = bytes[taken..].split_first_chunk::<HEADER>() {
        let [stream, t0, t1, t2, t3, t4, t5, t6, t7, length @ ..] = *header;
        let stream = if stream == 1 { Stream::Stdout } else { Stream::Stderr };
        let at_ns = i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let len = u32::from_be_bytes(length) as usize;
        if len > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(output) = rest.get(..len) else { break };
        if output.is_empty() {
            log.end_at(stream, at_ns);
        } else {
            log.append_at(stream, at_ns, output);
        }
        taken += HEADER + len;
    }
    Ok(taken)
}
