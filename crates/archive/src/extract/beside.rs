//! Small files are written by a second thread, while the first one reads on.
//!
//! The order of an archive means something only where two members meet: at one name, a name above another, or a hard link's
//! target. So the first thread goes on by itself, and [`Unpacker::settle`]s (waits until all it has handed over is written) before
//! it touches anything that could meet it: a name that is under way or has one above it, a place that a symlink led to, a
//! whiteout, whatever is removed, and the end.

use std::collections::HashSet;
use std::io::Read;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use rustix::io::Errno;

use super::Unpacker;
use super::attributes::Attributes;
use super::make::new_file;
use super::places::Place;
use crate::root::split;
use crate::{Entry, Error, Kind, Reader, Result};

/// Larger files are copied piece by piece where they are read.
const LARGEST: u64 = 256 << 10;
/// So many bytes or files go over at once: a hand-over wakes a thread, which costs more than a small file does.
const FULL_BYTES: usize = 256 << 10;
const FULL_FILES: usize = 64;
/// Batches under way: with what one can hold, the memory they may take.
const WAITING: usize = 4;

/// A file whose contents are in its batch.
struct File {
    entry: Entry,
    parent: Arc<OwnedFd>,
    name: Vec<u8>,
    contents: Range<usize>,
}

#[derive(Default)]
struct Batch {
    files: Vec<File>,
    contents: Vec<u8>,
}

enum Order {
    Write(Batch),
    /// Answer when all before is written.
    Answer,
}

/// The hand that gives files away.
pub(super) struct Beside {
    orders: SyncSender<Order>,
    answers: Receiver<Result<Vec<String>>>,
    /// Batches that were written, to be filled again.
    spare: Receiver<Batch>,
    batch: Batch,
    /// What was handed over since the last answer.
    names: HashSet<Vec<u8>>,
}

/// The hand that writes them.
pub(super) struct Writer<'a> {
    attributes: Attributes<'a>,
    orders: Receiver<Order>,
    answers: Sender<Result<Vec<String>>>,
    spare: Sender<Batch>,
}

/// Both ends.
pub(super) fn pair(attributes: Attributes<'_>) -> (Beside, Writer<'_>) {
    let (orders, taken) = sync_channel(WAITING);
    let (told, answers) = channel();
    let (emptied, spare) = channel();
    let beside = Beside { orders, answers, spare, batch: Batch::default(), names: HashSet::new() };
    (beside, Writer { attributes, orders: taken, answers: told, spare: emptied })
}

impl Beside {
    fn is_full(&self) -> bool {
        self.batch.contents.len() >= FULL_BYTES || self.batch.files.len() >= FULL_FILES
    }

    /// Gives the batch away. `false` when the other hand has ended, and said why.
    fn give(&mut self) -> bool {
        let next = self.spare.try_recv().unwrap_or_default();
        let batch = std::mem::replace(&mut self.batch, next);
        self.orders.send(Order::Write(batch)).is_ok()
    }
}

impl Writer<'_> {
    /// Writes until there is nothing more to come, or something fails.
    pub(super) fn run(self) {
        let mut warnings = Vec::new();
        for order in &self.orders {
            let answer = match order {
                Order::Write(batch) => match self.write_all(batch, &mut warnings) {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
                Order::Answer => Ok(std::mem::take(&mut warnings)),
            };
            let over = answer.is_err();
            // Nobody listens when the archive itself was at fault.
            if self.answers.send(answer).is_err() || over {
                return;
            }
        }
    }

    fn write_all(&self, mut batch: Batch, warnings: &mut Vec<String>) -> Result<()> {
        for file in batch.files.drain(..) {
            let contents = &batch.contents[file.contents.clone()];
            self.write(&file, contents, warnings)?;
        }
        batch.contents.clear();
        // Nobody fills it again when the archive is at its end.
        let _last = self.spare.send(batch);
        Ok(())
    }

    fn write(&self, file: &File, contents: &[u8], warnings: &mut Vec<String>) -> Result<()> {
        let (name, parent) = (file.name.as_slice(), &*file.parent);
        let base = split(name).1;
        let fd = match new_file(parent, base) {
            Err(Errno::EXIST) => {
                gantry_sys::tree::remove_at(parent.as_fd(), base).map_err(Error::file("removing", name))?;
                new_file(parent, base)
            }
            other => other,
        };
        let fd = fd.map_err(Error::file("making", name))?;
        let mut rest = contents;
        while !rest.is_empty() {
            match rustix::io::write(&fd, rest) {
                Ok(n) => rest = &rest[n..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::file("writing", name)(error)),
            }
        }
        self.attributes.of_file(&fd, parent, name, &file.entry, warnings)
    }
}

impl Unpacker<'_> {
    /// Hands a member over, if it is one to be handed over; else gives it back.
    pub(super) fn hand_over<R: Read>(
        &mut self,
        entry: Entry,
        place: &Place,
        name: &[u8],
        archive: &mut Reader<R>,
    ) -> Result<Option<Entry>> {
        let small = entry.kind == Kind::File && entry.sparse.is_none() && entry.size <= LARGEST;
        // What was a directory leaves its traces in what is to be done at the end.
        if !small || !place.plain || self.dirs.contains_key(name) {
            return Ok(Some(entry));
        }
        let Some(beside) = &mut self.beside else { return Ok(Some(entry)) };
        let start = beside.batch.contents.len();
        let end = start + usize::try_from(entry.size).expect("it is small");
        beside.batch.contents.resize(end, 0);
        let mut filled = start;
        loop {
            let (_, n) = archive.read_extent(&mut beside.batch.contents[filled..])?;
            if n == 0 {
                break;
            }
            filled += n;
        }
        self.done.bytes += entry.size;
        beside.names.insert(name.to_vec());
        let parent = Arc::clone(&place.fd);
        beside.batch.files.push(File { entry, parent, name: name.to_vec(), contents: start..end });
        if beside.is_full() && !beside.give() {
            self.settle()?;
        }
        Ok(None)
    }

    /// Whether a member of this name is under way.
    pub(super) fn is_beside(&self, name: &[u8]) -> bool {
        self.beside.as_ref().is_some_and(|beside| beside.names.contains(name))
    }

    /// [`Unpacker::settle`], if something under way has this name or one above it.
    pub(super) fn settle_above(&mut self, name: &[u8]) -> Result<()> {
        let mut above = name;
        while !above.is_empty() {
            if self.is_beside(above) {
                return self.settle();
            }
            above = split(above).0;
        }
        Ok(())
    }

    /// Waits until all that was handed over is written.
    pub(super) fn settle(&mut self) -> Result<()> {
        let Some(beside) = &mut self.beside else { return Ok(()) };
        if beside.names.is_empty() {
            return Ok(());
        }
        beside.names.clear();
        // When it has ended, its last answer waits.
        let _ended = beside.give() && beside.orders.send(Order::Answer).is_ok();
        let warnings = beside.answers.recv().expect("it answers before it ends")?;
        self.done.warnings.extend(warnings);
        Ok(())
    }
}
