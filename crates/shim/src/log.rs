//! The container's log, seen from the keeper.

mod aside;

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gantry_logs::{Config, Mode, OptionError, Stream, Writer, now_ns};
use gantry_shim_protocol::LogSpec;

pub(crate) use aside::write_aside;

use aside::Aside;

use crate::Fatal;

/// A nice value that never gets in a container's way.
const IDLE: i32 = 19;

/// The log and the helper that compresses its old files.
#[derive(Debug)]
pub(crate) struct Log {
    sink: Sink,
    path: PathBuf,
    /// The helper that runs.
    helper: Option<i32>,
    wanted: bool,
    failing: bool,
}

/// Who writes.
#[derive(Debug)]
enum Sink {
    /// We do; the container waits meanwhile.
    Direct(Box<Writer>),
    /// A process aside (`mode=non-blocking`); what it is too slow for is lost.
    Aside(Aside),
}

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("failed to initialize logging driver: {0}")]
    Options(#[from] OptionError),
    #[error("failed to initialize logging driver: {0}")]
    Open(#[from] std::io::Error),
}

impl Log {
    pub fn open(spec: &LogSpec) -> Result<Log, LogError> {
        let config = Config::parse(&spec.driver, &spec.path, &spec.options, spec.attributes.clone())?;
        let sink = match config.mode {
            Mode::Blocking => Sink::Direct(Box::new(Writer::open(&config)?)),
            Mode::NonBlocking { max_buffer } => Sink::Aside(Aside::open(max_buffer)?),
        };
        Ok(Log { sink, path: config.path, helper: None, wanted: false, failing: false })
    }

    /// The log that the process aside writes: always by itself.
    fn open_direct(spec: &LogSpec) -> Result<Log, LogError> {
        let mut spec = spec.clone();
        spec.options.retain(|name, _| name != "mode" && name != "max-buffer-size");
        Log::open(&spec)
    }

    pub fn append(&mut self, stream: Stream, bytes: &[u8]) {
        self.append_at(stream, now_ns(), bytes);
    }

    fn append_at(&mut self, stream: Stream, at_ns: i64, bytes: &[u8]) {
        match &mut self.sink {
            Sink::Direct(writer) => {
                let done = writer.append(stream, at_ns, bytes);
                self.tell(done);
            }
            Sink::Aside(aside) => aside.append(stream, at_ns, bytes),
        }
    }

    /// A stream has ended.
    pub fn end(&mut self, stream: Stream) {
        self.end_at(stream, now_ns());
    }

    fn end_at(&mut self, stream: Stream, at_ns: i64) {
        match &mut self.sink {
            Sink::Direct(writer) => {
                let done = writer.end(stream, at_ns);
                self.tell(done);
            }
            Sink::Aside(aside) => aside.append(stream, at_ns, &[]),
        }
    }

    /// One write for all that was appended.
    pub fn flush(&mut self) {
        let writer = match &mut self.sink {
            Sink::Aside(aside) => return aside.flush(),
            Sink::Direct(writer) => writer,
        };
        let done = writer.flush();
        self.wanted |= writer.take_wants_compression();
        self.tell(done);
        if self.wanted && self.helper.is_none() {
            self.wanted = false;
            self.help();
        }
    }

    /// Nothing more will come.
    pub fn close(&mut self) {
        self.flush();
        if let Sink::Aside(aside) = &mut self.sink {
            aside.close();
        }
    }

    /// Whether all that came is in the file, as far as that is up to us: after [`Log::close`].
    pub fn is_settled(&self) -> bool {
        match &self.sink {
            Sink::Direct(_) => true,
            Sink::Aside(aside) => aside.is_over(),
        }
    }

    /// Ends our helpers: after this nobody writes in the log's folder any more. What the compressor has not finished is
    /// finished by the next one.
    pub fn abandon(&mut self) {
        if let Some(pid) = self.helper.take() {
            end(pid);
        }
        if let Sink::Aside(aside) = &mut self.sink
            && let Some(pid) = aside.abandon()
        {
            end(pid);
        }
    }

    /// Whether the compressor runs.
    pub fn is_compressing(&self) -> bool {
        self.helper.is_some()
    }

    /// Wait for it to be writable, then flush.
    pub fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        match &self.sink {
            Sink::Direct(_) => None,
            Sink::Aside(aside) => aside.waits_for(),
        }
    }

    pub fn rest(&mut self) {
        if let Sink::Direct(writer) = &mut self.sink {
            writer.rest();
        }
    }

    /// A child has ended: perhaps one of our helpers.
    pub fn reaped(&mut self, pid: i32) {
        if self.helper == Some(pid) {
            self.helper = None;
        }
        if let Sink::Aside(aside) = &mut self.sink {
            aside.reaped(pid);
        }
    }

    /// A disk stays full for hours: its being so is told once, and its end once.
    fn tell(&mut self, done: std::io::Result<()>) {
        match done {
            Err(err) if !self.failing => {
                self.failing = true;
                eprintln!("output is being lost: the log cannot be written: {err}");
            }
            Ok(()) if self.failing => {
                self.failing = false;
                eprintln!("the log is written again");
            }
            _ => {}
        }
    }

    /// Compression in a process of its own takes nothing from the container: neither our attention nor, beyond what is
    /// left over, the processor.
    fn help(&mut self) {
        let helper = Command::new("/proc/self/exe")
            .arg("--compress")
            .arg(&self.path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        match helper {
            Ok(child) => self.helper = Some(child.id() as i32),
            Err(err) => eprintln!("old log files stay uncompressed: {err}"),
        }
    }
}

/// Kills a child and collects it.
fn end(pid: i32) {
    const SIGKILL: i32 = 9;
    let _ = gantry_sys::signals::kill(pid, SIGKILL);
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
}

/// The helper's whole life, which ends with its parent's.
pub(crate) fn compress(path: &Path) -> Result<(), Fatal> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    rustix::process::setpriority_process(None, IDLE)?;
    rustix::thread::set_name(c"gantry-logs")?;
    gantry_logs::compress_rotated(path)?;
    Ok(())
}
