//! The reading side.

mod follow;
mod records;
mod source;
mod start;

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use crate::files::Files;
use crate::{Driver, Entry, format};

pub use follow::Stop;
pub(crate) use records::Records;

use follow::{Follow, Waited};
use source::{Opened, Source};

/// What of a log is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Only records of this time (nanoseconds since 1970) or later.
    pub since_ns: Option<i64>,
    /// Only records up to this time. The first later one ends the reading, also when following.
    pub until_ns: Option<i64>,
    /// Only the last so many records, counted before times are looked at, as Docker does.
    pub tail: Option<u64>,
    /// Wait for more at the end, until stopped.
    pub follow: bool,
}

/// What could not be read. Tell it: some of the log is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Places where something is that is no record.
    pub places: u64,
    /// Files that a follower was too slow for, or that could not be decompressed to their end.
    pub files: u64,
}

/// Reads a log, oldest record first, each exactly once, across rotation.
#[derive(Debug)]
pub struct Reader {
    driver: Driver,
    files: Files,
    options: ReadOptions,
    /// The file being read; `None` when there is none (driver `none`, or not written yet).
    current: Option<Current>,
    /// Files to be read after it.
    queue: VecDeque<Current>,
    follow: Option<Follow>,
    stop: Stop,
    damage: Damage,
    ended: bool,
}

/// A file being read.
#[derive(Debug)]
struct Current {
    opened: Opened,
    records: Records<Source>,
    /// Records to be passed over first.
    skip: u64,
    /// It was the file being written when it was opened: more may come.
    live: bool,
}

impl Reader {
    /// Opens a log. A log that is not there is empty; its folder must be there to be followed.
    pub fn open(driver: Driver, path: &Path, options: ReadOptions) -> io::Result<Reader> {
        let files = Files::of(path)?;
        let stop = Stop::new()?;
        let mut reader = Reader {
            driver,
            follow: None,
            current: None,
            queue: VecDeque::new(),
            options,
            stop,
            damage: Damage::default(),
            ended: driver == Driver::None,
            files,
        };
        if !reader.ended {
            reader.queue = start::open(driver, &reader.files, options)?.into();
        }
        Ok(reader)
    }

    /// A handle that ends a following reader from another thread.
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// What could not be read so far.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// The next record. `None` at the end: of the log, or of the wanted time, or when a follower was stopped. Blocks
    /// only when following.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        while !self.ended {
            match self.read_record()? {
                Some(entry) if self.options.until_ns.is_some_and(|until| entry.at_ns > until) => {
                    self.ended = true;
                }
                Some(entry) if self.options.since_ns.is_some_and(|since| entry.at_ns < since) => {}
                Some(entry) => return Ok(Some(entry)),
                None => self.advance()?,
            }
        }
        Ok(None)
    }

    /// The next record of the current file.
    fn read_record(&mut self) -> io::Result<Option<Entry>> {
        let Some(current) = &mut self.current else { return Ok(None) };
        loop {
            let record = match current.records.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(None),
                Err(_) if current.opened.compressed => {
                    // What is packed behind the damage cannot be found: the next file goes on.
                    self.damage.files += 1;
                    current.records.skip_unfinished();
                    current.live = false;
                    return Ok(None);
                }
                Err(err) => return Err(err),
            };
            self.damage.places += u64::from(record.skipped > 0);
            if current.skip > 0 {
                current.skip -= 1;
                continue;
            }
            match format::decode(self.driver, record.bytes) {
                Some(entry) => return Ok(Some(entry)),
                None => self.damage.places += 1,
            }
        }
    }

    /// At the end of the current file: goes to the next, waits, or ends.
    fn advance(&mut self) -> io::Result<()> {
        if let Some(next) = self.queue.pop_front() {
            self.leave(Some(next));
            return Ok(());
        }
        if !self.options.follow {
            self.ended = true;
            return Ok(());
        }
        if let Some(follow) = self.follow.as_mut().filter(|follow| follow.is_of(self.current.as_ref())) {
            // The watch is older than the last read: what came in between has woken us.
            if let Some(next) = follow.successors(self.driver, &self.files, self.current.as_ref())? {
                return self.follow_to(next);
            }
            if follow.wait(&self.stop)? == Waited::Stopped {
                self.ended = true;
            }
            return Ok(());
        }
        self.follow = Some(Follow::watch(&self.files, self.current.as_ref())?);
        Ok(())
    }

    /// The current file is not written any more, and these come after it. But it may have been written between our last
    /// read and its end: it is read once more first.
    fn follow_to(&mut self, next: follow::Next) -> io::Result<()> {
        if let Some(current) = &mut self.current
            && current.live
        {
            current.live = false;
            return Ok(());
        }
        self.damage.files += next.missed;
        self.queue = next.files.into();
        let first = self.queue.pop_front();
        self.leave(first);
        Ok(())
    }

    fn leave(&mut self, next: Option<Current>) {
        if self.current.as_ref().is_some_and(|current| current.records.unfinished() > 0) {
            self.damage.places += 1;
        }
        self.current = next;
    }
}
