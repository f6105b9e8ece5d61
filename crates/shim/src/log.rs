//! The container's log, seen from the keeper.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gantry_logs::{Config, OptionError, Stream, Writer, now_ns};
use gantry_shim_protocol::LogSpec;

use crate::Fatal;

/// A nice value that never gets in a container's way.
const IDLE: i32 = 19;

/// The log and the helper that compresses its old files.
#[derive(Debug)]
pub(crate) struct Log {
    writer: Writer,
    path: PathBuf,
    /// The helper that runs.
    helper: Option<i32>,
    wanted: bool,
    failing: bool,
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
        let writer = Writer::open(&config)?;
        Ok(Log { writer, path: config.path, helper: None, wanted: false, failing: false })
    }

    pub fn append(&mut self, stream: Stream, bytes: &[u8]) {
        let done = self.writer.append(stream, now_ns(), bytes);
        self.tell(done);
    }

    pub fn end(&mut self, stream: Stream) {
        let done = self.writer.end(stream, now_ns());
        self.tell(done);
    }

    /// One write for all that was appended.
    pub fn flush(&mut self) {
        let done = self.writer.flush();
        self.tell(done);
        self.wanted |= self.writer.take_wants_compression();
        if self.wanted && self.helper.is_none() {
            self.wanted = false;
            self.help();
        }
    }

    pub fn rest(&mut self) {
        self.writer.rest();
    }

    /// A child has ended; whether it was our helper.
    pub fn reaped(&mut self, pid: i32) -> bool {
        let ours = self.helper == Some(pid);
        if ours {
            self.helper = None;
        }
        ours
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

/// The helper's whole life.
pub(crate) fn compress(path: &Path) -> Result<(), Fatal> {
    rustix::process::setpriority_process(None, IDLE)?;
    rustix::thread::set_name(c"gantry-logs")?;
    gantry_logs::compress_rotated(path)?;
    Ok(())
}
