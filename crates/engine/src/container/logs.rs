//! `logs`: a container's log, read by a thread that ends with its reader.

use std::collections::BTreeMap;

use bytes::Bytes;
use gantry_logs::{Driver, ReadOptions, Reader, Stream};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::Following;
use super::attach::{AttachRequest, Output};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::ContainerRecord;

/// Lines between the log and a client that does not read.
const LINES: usize = 256;

/// What of a log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogsRequest {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Up to this time.
    pub until: Option<Timestamp>,
    /// Only so many lines from the end.
    pub tail: Option<u64>,
    /// Go on with what comes.
    pub follow: bool,
    /// With attributes.
    pub details: bool,
}

/// One line, or a piece of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Of which stream.
    pub stream: Output,
    /// When it was written.
    pub time: Timestamp,
    /// With its newline; a piece of a longer line has none.
    pub line: Bytes,
    /// What the log options add.
    pub attrs: BTreeMap<String, String>,
}

/// A log being read.
pub struct Logs {
    /// The container has a terminal.
    pub tty: bool,
    /// The lines; ends with the log, or with the container when following.
    pub lines: mpsc::Receiver<std::result::Result<LogLine, String>>,
    /// The container's removal waits for this to be dropped.
    _following: Following,
}

impl Engine {
    /// Reads a container's log.
    pub async fn container_logs(&self, name: &str, request: LogsRequest) -> Result<Logs> {
        let container = self.find(name)?;
        let record = container.record();
        if record.spec.log.driver == "none" {
            return Err(Error::NotImplemented(
                "configured logging driver does not support reading".to_owned(),
            ));
        }
        let mut reader = self.open_log(&record, &request)?;
        let tty = record.spec.tty;
        let (sender, lines) = mpsc::channel(LINES);
        let mut following = None;
        if request.follow {
            following = container.follow();
            // The reader waits in the kernel: it is woken at the container's end, and when the client leaves.
            let (stop, mut moment, gone) = (reader.stop_handle(), container.moment(), sender.clone());
            tokio::spawn(async move {
                tokio::select! {
                    _ = moment.wait_for(|moment| !moment.alive || moment.removed) => stop.at_the_end(),
                    () = gone.closed() => stop.now(),
                }
            });
        }
        std::thread::Builder::new()
            .name("log-reader".to_owned())
            .spawn(move || {
                let wanted = |stream: Stream| match stream {
                    Stream::Stdout => request.stdout,
                    Stream::Stderr => request.stderr,
                };
                loop {
                    let line = match reader.next_entry() {
                        Ok(Some(entry)) if !wanted(entry.stream) => continue,
                        Ok(Some(entry)) => Ok(LogLine {
                            stream: output(entry.stream),
                            time: Timestamp::from_nanosecond(i128::from(entry.at_ns))
                                .unwrap_or(Timestamp::UNIX_EPOCH),
                            line: entry.line.into(),
                            attrs: entry.attributes.into_iter().collect(),
                        }),
                        Ok(None) => return,
                        Err(err) => Err(err.to_string()),
                    };
                    let failed = line.is_err();
                    if sender.blocking_send(line).is_err() || failed {
                        return;
                    }
                }
            })
            .map_err(Error::io("start a log reader"))?;
        Ok(Logs { tty, lines, _following: following })
    }

    fn open_log(&self, record: &ContainerRecord, request: &LogsRequest) -> Result<Reader> {
        let ns = |time: Timestamp| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
        let options = ReadOptions {
            since_ns: request.since.map(ns),
            until_ns: request.until.map(ns),
            tail: request.tail,
            follow: request.follow && record.state.is_alive(),
        };
        let driver = Driver::parse(&record.spec.log.driver).map_err(|err| Error::Invalid(err.to_string()))?;
        Reader::open(driver, &self.log_path(record), options).map_err(Error::io("open the log"))
    }

    /// The log so far into an attachment, before its live part.
    pub(super) async fn replay_logs(
        &self,
        record: &ContainerRecord,
        request: AttachRequest,
        into: mpsc::Sender<(Output, Bytes)>,
    ) -> Result<()> {
        let wanted = LogsRequest { stdout: request.stdout, stderr: request.stderr, ..LogsRequest::default() };
        if record.spec.log.driver == "none" {
            return Ok(());
        }
        let mut reader = self.open_log(record, &wanted)?;
        tokio::task::spawn_blocking(move || {
            while let Ok(Some(entry)) = reader.next_entry() {
                let stream = output(entry.stream);
                let taken = match stream {
                    Output::Stdout => wanted.stdout,
                    Output::Stderr => wanted.stderr,
                };
                if taken && into.blocking_send((stream, entry.line.into())).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }
}

fn output(stream: Stream) -> Output {
    match stream {
        Stream::Stdout => Output::Stdout,
        Stream::Stderr => Output::Stderr,
    }
}
