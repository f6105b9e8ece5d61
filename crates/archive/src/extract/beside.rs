//! Small files are written by a second thread, while the first one reads on.
//!
//! The order of an archive means something only where two members meet: at one name, a name above another, or a hard link's
//! target. So the first thread goes on by itself, and [`Unpacker::settle`]s (waits until all it has handed over is written) before
//! it touches anything that could meet it: a name that is under way or has one above it, a place that a symlink led to, a
//! whiteout, whatever is removed, and the end.

use std::collections::HashSet;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use rustix::io::Errno;

use super::Unpacker;
use super::attributes::Attributes;
use super::make::new_file;
use super::places::Place;
use crate::root::{remove_tree, split};
use crate::{Entry, Error, Kind, Reader, Result};

/// Larger files are copied piece by piece where they are read.
const LARGEST: u64 = 256 << 10;
/// Files under way: with their largest size, what memory they may take.
const WAITING: usize = 32;

/// A file whose contents are in memory.
struct File {
    entry: Entry,
    parent: Arc<OwnedFd>,
    name: Vec<u8>,
    contents: Vec<u8>,
}

enum Order {
    Write(Box<File>),
    /// Answer when all before is written.
    Answer,
}

/// The hand that gives files away.
pub(super) struct Beside {
    orders: SyncSender<Order>,
    answers: Receiver<Result<Vec<String>>>,
    /// What was handed over since the last answer.
    names: HashSet<Vec<u8>>,
}

/// The hand that writes them.
pub(super) struct Writer<'a> {
    attributes: Attributes<'a>,
    orders: Receiver<Order>,
    answers: Sender<Result<Vec<String>>>,
}

/// Both ends.
pub(super) fn pair(attributes: Attributes<'_>) -> (Beside, Writer<'_>) {
    let (orders, taken) = sync_channel(WAITING);
    let (told, answers) = channel();
    (Beside { orders, answers, names: HashSet::new() }, Writer { attributes, orders: taken, answers: told })
}

impl Writer<'_> {
    /// Writes until there is nothing more to come, or something fails.
    pub(super) fn run(self) {
        let mut warnings = Vec::new();
        for order in &self.orders {
            let answer = match order {
                Order::Write(file) => match self.write(&file, &mut warnings) {
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

    fn write(&self, file: &File, warnings: &mut Vec<String>) -> Result<()> {
        let (name, parent) = (file.name.as_slice(), &*file.parent);
        let base = split(name).1;
        let fd = match new_file(parent, base) {
            Err(Errno::EXIST) => {
                remove_tree(parent.as_fd(), base).map_err(Error::file("removing", name))?;
                new_file(parent, base)
            }
            other => other,
        };
        let fd = fd.map_err(Error::file("making", name))?;
        let mut rest = file.contents.as_slice();
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
        let mut contents = vec![0; usize::try_from(entry.size).expect("it is small")];
        let mut filled = 0;
        loop {
            let (_, n) = archive.read_extent(&mut contents[filled..])?;
            if n == 0 {
                break;
            }
            filled += n;
        }
        self.done.bytes += entry.size;
        let file = File { entry, parent: Arc::clone(&place.fd), name: name.to_vec(), contents };
        beside.names.insert(name.to_vec());
        match beside.orders.send(Order::Write(Box::new(file))) {
            Ok(()) => Ok(None),
            // It has ended, and said why.
            Err(_) => self.settle().map(|()| None),
        }
    }

    /// Whether a member of this name is under way.
    pub(super) fn is_beside(&self, name: &[u8]) -> bool {
        self.beside.as_ref().is_some_and(|beside| beside.names.contains(name))
    }

    /// [`Unpacker::settle`], if something under way has the name of `dir` or of one above it.
    pub(super) fn settle_above(&mut self, dir: &[u8]) -> Result<()> {
        let mut above = dir;
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
        let _ended = beside.orders.send(Order::Answer);
        let warnings = beside.answers.recv().expect("it answers before it ends")?;
        self.done.warnings.extend(warnings);
        Ok(())
    }
}
