//! Waiting for more, and finding the file that comes next.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;

use super::Current;
use super::source::Opened;
use super::start::{current, open_all};
use crate::Driver;
use crate::files::Files;
use crate::index::Mark;

/// How often a follower looks when the kernel has no inotify instance left for it (the limit is per user).
const LOOK_AGAIN_NS: i64 = 250_000_000;

const RUN: u8 = 0;
const DRAIN: u8 = 1;
const NOW: u8 = 2;

/// Ends a following [`super::Reader`] from another thread. Clones are the same handle.
#[derive(Debug, Clone)]
pub struct Stop(Arc<Signal>);

#[derive(Debug)]
struct Signal {
    wake: OwnedFd,
    how: AtomicU8,
}

impl Stop {
    pub(super) fn new() -> io::Result<Stop> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Stop(Arc::new(Signal { wake, how: AtomicU8::new(RUN) })))
    }

    /// The container is over: read what is there, then end.
    pub fn at_the_end(&self) {
        self.set(DRAIN);
    }

    /// Nobody wants more: end at once.
    pub fn now(&self) {
        self.set(NOW);
    }

    fn set(&self, how: u8) {
        self.0.how.fetch_max(how, Ordering::SeqCst);
        // It fails only when the counter is full, and then the reader is awake anyway.
        let _ = rustix::io::write(&self.0.wake, &1u64.to_ne_bytes());
    }

    fn how(&self) -> u8 {
        self.0.how.load(Ordering::SeqCst)
    }
}

/// Why waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// Something may have changed.
    Changed,
    Stopped,
}

/// The files after the one that was followed.
#[derive(Debug)]
pub(super) struct Next {
    pub files: Vec<Current>,
    /// Files that came and went before we looked.
    pub missed: u64,
}

/// A watch on one file and its folder.
#[derive(Debug)]
pub(super) struct Follow {
    inotify: Option<OwnedFd>,
    of: Option<(u64, u64)>,
    /// The end was announced: the next time there is nothing more, it is the end.
    draining: bool,
}

impl Follow {
    /// Begins to watch. Read to the end once more before waiting: what came before the watch wakes nobody.
    pub fn watch(files: &Files, current: Option<&Current>) -> io::Result<Follow> {
        let of = current.map(|current| current.opened.identity()).transpose()?;
        Ok(Follow { inotify: watch(files).ok(), of, draining: false })
    }

    /// Whether the watch is on this file.
    pub fn is_of(&self, current: Option<&Current>) -> bool {
        let of = current.and_then(|current| current.opened.identity().ok());
        self.of == of
    }

    /// The files after the current one, if it is not the one being written any more.
    pub fn successors(
        &mut self,
        driver: Driver,
        files: &Files,
        from: Option<&Current>,
    ) -> io::Result<Option<Next>> {
        match std::fs::metadata(files.current()) {
            Ok(meta) if Some((meta.dev(), meta.ino())) == self.of => return Ok(None),
            Ok(_) => {}
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        }
        let mut all = open_all(files)?;
        let mut missed = 0;
        if let Some(from) = from {
            let after = position_after(&all, from)?;
            match after {
                Some(after) => drop(all.drain(..after)),
                None => {
                    // Ours has been rotated away. With sequences known, so is the number of files between.
                    let ours = from.opened.index.sequence;
                    all.retain(|opened| opened.index.sequence == 0 || opened.index.sequence > ours);
                    let first = all.first().map_or(0, |opened| opened.index.sequence);
                    missed = if ours > 0 && first > 0 { first - ours - 1 } else { 1 };
                }
            }
        }
        let last = all.len();
        let next = (1..)
            .zip(all)
            .map(|(place, opened)| current(driver, opened, Mark::START, 0, place == last))
            .collect::<io::Result<Vec<_>>>()?;
        Ok((!next.is_empty()).then_some(Next { files: next, missed }))
    }

    /// Waits for a change or a stop.
    pub fn wait(&mut self, stop: &Stop) -> io::Result<Waited> {
        match stop.how() {
            NOW => return Ok(Waited::Stopped),
            DRAIN if self.draining => return Ok(Waited::Stopped),
            DRAIN => {
                // What was written before the announcement is there now: one more look.
                self.draining = true;
                return Ok(Waited::Changed);
            }
            _ => {}
        }
        let mut fds = vec![PollFd::new(&stop.0.wake, PollFlags::IN)];
        let timeout = match &self.inotify {
            Some(inotify) => {
                fds.push(PollFd::new(inotify, PollFlags::IN));
                None
            }
            None => Some(Timespec { tv_sec: 0, tv_nsec: LOOK_AGAIN_NS }),
        };
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(err) => return Err(err.into()),
        }
        if let Some(inotify) = &self.inotify {
            drain(inotify);
        }
        Ok(Waited::Changed)
    }
}

/// The place in `all` behind the file that was followed, if it is still there.
fn position_after(all: &[Opened], from: &Current) -> io::Result<Option<usize>> {
    let (ours, identity) = (from.opened.index.sequence, from.opened.identity()?);
    for (place, opened) in all.iter().enumerate() {
        let same = if ours > 0 && opened.index.sequence > 0 {
            opened.index.sequence == ours
        } else {
            opened.identity()? == identity
        };
        if same {
            return Ok(Some(place + 1));
        }
    }
    Ok(None)
}

fn watch(files: &Files) -> rustix::io::Result<OwnedFd> {
    use inotify::WatchFlags as W;
    let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&inotify, files.folder(), W::CREATE | W::MOVED_TO)?;
    match inotify::add_watch(&inotify, files.current(), W::MODIFY | W::MOVE_SELF | W::DELETE_SELF) {
        // Not written yet: the folder's watch tells when it is.
        Ok(_) | Err(rustix::io::Errno::NOENT) => Ok(inotify),
        Err(err) => Err(err),
    }
}

/// Takes what waits; what it was does not matter, for we look at everything.
fn drain(inotify: &OwnedFd) {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    while reader.next().is_ok() {}
}
