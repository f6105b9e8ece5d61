//! The writing side: the shim's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use crate::files::{self, Files, Old};
use crate::format::Encoder;
use crate::index::{Index, IndexWriter, Mark, SPACING};
use crate::lines::{Line, Piece};
use crate::reader::Records;
use crate::{Config, Driver, Stream, format};

/// Encoded bytes that are written in one call at the latest. With the encoder's own growth it bounds a writer's memory.
const BATCH: usize = 256 << 10;
/// When names cannot be changed just now (a reader is opening the files), so many bytes pass before the next attempt.
const RETRY_ROTATION: u64 = 256 << 10;
/// Logs hold what programs print: nobody but root and its group reads them.
const MODE: u32 = 0o640;

/// A log being written. One process at a time.
///
/// [`Writer::append`] keeps encoded records in memory, [`Writer::flush`] hands them to the kernel in one call: flush
/// when there is nothing more to read just now. What is flushed survives the writer's death; the kernel writes it to
/// the disk in its own time, as with Docker.
#[derive(Debug)]
pub struct Writer {
    lines: [Line; 2],
    target: Option<Target>,
}

impl Writer {
    /// Opens a log to write at its end; makes it (and its folder) if it is not there. A record that a crash has cut
    /// short is removed.
    pub fn open(config: &Config) -> io::Result<Writer> {
        let target = match config.driver {
            Driver::None => None,
            Driver::JsonFile | Driver::Local => Some(Target::open(config)?),
        };
        Ok(Writer { lines: [Line::new(Stream::Stdout), Line::new(Stream::Stderr)], target })
    }

    /// Adds what was read from a stream at a time. Complete lines become records in memory; a full batch is written.
    /// An error is that of [`Writer::flush`]; all bytes were taken nevertheless.
    pub fn append(&mut self, stream: Stream, at_ns: i64, bytes: &[u8]) -> io::Result<()> {
        let Some(target) = &mut self.target else { return Ok(()) };
        self.lines[stream as usize].push(at_ns, bytes, |piece| target.log(piece));
        target.take_failure()
    }

    /// The stream has ended: what it has left of a line becomes a record.
    pub fn end(&mut self, stream: Stream, at_ns: i64) -> io::Result<()> {
        let Some(target) = &mut self.target else { return Ok(()) };
        self.lines[stream as usize].end(at_ns, |piece| target.log(piece));
        target.take_failure()
    }

    /// Writes what is in memory, in one call.
    ///
    /// On an error (a full disk) those records are lost and the log goes on after them: a container must not stand
    /// still because of its log.
    pub fn flush(&mut self) -> io::Result<()> {
        self.target.as_mut().map_or(Ok(()), Target::flush)
    }

    /// Gives memory back, between two bursts.
    pub fn rest(&mut self) {
        if let Some(target) = &mut self.target
            && target.out.is_empty()
        {
            target.out = Vec::new();
        }
    }

    /// Whether a file has become old since the last call and is to be compressed: have a process with time to spare
    /// call [`crate::compress_rotated`].
    pub fn take_wants_compression(&mut self) -> bool {
        self.target.as_mut().is_some_and(|target| std::mem::take(&mut target.wants_compression))
    }
}

#[derive(Debug)]
struct Target {
    config: Config,
    files: Files,
    encoder: Encoder,
    file: File,
    index: IndexWriter,
    out: Vec<u8>,
    /// Marks for places in `out`, written after it.
    marks: Vec<Mark>,
    /// What the file holds, and what it will hold with `out`.
    written: Mark,
    ahead: Mark,
    /// Where the last mark is.
    marked: u64,
    rotate_at: u64,
    wants_compression: bool,
    /// A batch that could not be written since the last time somebody asked.
    failure: Option<io::Error>,
}

impl Target {
    fn open(config: &Config) -> io::Result<Target> {
        let files = Files::of(&config.path)?;
        fs::create_dir_all(files.folder())?;
        let (file, known) = recover(config.driver, &files)?;
        let end = known.end;
        // A reader may be looking: it finds the old index or the new one, never none.
        let index = IndexWriter::create(&files.next_index(), &known.index)?;
        files::rename(&files.next_index(), &files.current_index())?;
        // What an earlier writer has left; a process for nothing is dear at every start.
        let is_left = |old: &Old| !old.compressed;
        let wants_compression = config.compress && files.list_old()?.iter().any(is_left);
        Ok(Target {
            config: config.clone(),
            encoder: Encoder::new(config),
            index,
            files,
            file,
            out: Vec::new(),
            marks: Vec::new(),
            written: end,
            ahead: end,
            marked: known.index.last().offset,
            rotate_at: config.max_size.unwrap_or(u64::MAX),
            wants_compression,
            failure: None,
        })
    }

    fn take_failure(&mut self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Adds a record. A failure is kept for later: what comes after it has its own chance.
    fn log(&mut self, piece: Piece<'_>) {
        if self.ahead.offset >= self.rotate_at
            && let Err(err) = self.rotate()
        {
            self.rotate_at = self.ahead.offset + RETRY_ROTATION;
            self.failure = Some(err);
        }
        if self.ahead.offset >= self.marked + SPACING {
            self.marks.push(self.ahead);
            self.marked = self.ahead.offset;
        }
        let before = self.out.len();
        self.encoder.encode(&mut self.out, piece);
        let grown = (self.out.len() - before) as u64;
        self.ahead = Mark {
            latest_ns: self.ahead.latest_ns.max(piece.at_ns),
            offset: self.ahead.offset + grown,
            records: self.ahead.records + 1,
            packed: self.ahead.packed + grown,
        };
        if self.out.len() >= BATCH
            && let Err(err) = self.flush()
        {
            self.failure = Some(err);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.out);
        self.out.clear();
        if let Err(err) = written {
            // Part of the batch may be there: nobody is to read half a record.
            self.file.set_len(self.written.offset)?;
            self.ahead = self.written;
            self.marks.clear();
            self.marked = self.marked.min(self.written.offset);
            return Err(err);
        }
        self.written = self.ahead;
        // An index that cannot be written costs a reader time, and nobody anything else.
        drop(self.index.add(&self.marks));
        self.marks.clear();
        Ok(())
    }

    /// Begins a new file. Whatever fails on the way, the current file stays the one that is written.
    fn rotate(&mut self) -> io::Result<()> {
        self.flush()?;
        let Some(_lock) = self.files.lock_alone_now()? else {
            self.rotate_at = self.ahead.offset + RETRY_ROTATION;
            return Ok(());
        };
        let next = Index { sequence: self.index.sequence + 1, ..Index::unknown(false) };
        let file = open_file(&self.files.next())?;
        file.set_len(0)?;
        let index = IndexWriter::create(&self.files.next_index(), &next)?;
        drop(self.index.add(&[self.written]));
        self.shift()?;
        files::rename(&self.files.next_index(), &self.files.current_index())?;
        files::rename(&self.files.next(), &self.files.current())?;
        (self.file, self.index) = (file, index);
        (self.written, self.ahead, self.marked) = (Mark::START, Mark::START, 0);
        self.rotate_at = self.config.max_size.unwrap_or(u64::MAX);
        self.wants_compression = self.config.compress;
        Ok(())
    }

    /// Each old file becomes one older, the oldest go.
    fn shift(&self) -> io::Result<()> {
        for old in self.files.list_old()? {
            let older = Old { number: old.number + 1, ..old };
            let plain_and_compressed = [false, true].map(|compressed| Old { compressed, ..old.clone() });
            if older.number >= self.config.max_files {
                for old in &plain_and_compressed {
                    files::remove(&self.files.old(old))?;
                }
                files::remove(&self.files.old_index(old.number))?;
            } else {
                files::rename(&self.files.old(&old), &self.files.old(&older))?;
                files::rename(&self.files.old_index(old.number), &self.files.old_index(older.number))?;
            }
        }
        if self.config.max_files < 2 {
            return Ok(());
        }
        files::rename(&self.files.current_index(), &self.files.old_index(1))?;
        files::rename(&self.files.current(), &self.files.old(&Old { number: 1, compressed: false }))
    }
}

fn open_file(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().create(true).read(true).append(true).mode(MODE).open(path)
}

/// What is known of the current file after a look at its end.
struct Known {
    index: Index,
    end: Mark,
}

/// Opens the current file, removes a torn record from its end, and knows its marks again.
fn recover(driver: Driver, files: &Files) -> io::Result<(File, Known)> {
    let file = open_file(&files.current())?;
    let len = file.metadata()?.len();
    let mut index = match Index::read(&files.current_index()) {
        Some(index) if !index.compressed => index,
        _ => {
            // The file before tells which we are: a follower must not take us for an older one.
            let before = Index::read(&files.old_index(1)).map_or(0, |index| index.sequence);
            Index { sequence: before + 1, ..Index::unknown(false) }
        }
    };
    index.cut(len);
    let mut end = index.last();
    let mut records = Records::new(driver, files::at(&file, end.offset));
    while let Some(record) = records.next_record()? {
        if end.offset >= index.last().offset + SPACING {
            index.marks.push(end);
        }
        if let Some(entry) = format::decode(driver, record.bytes) {
            end.latest_ns = end.latest_ns.max(entry.at_ns);
        }
        end.offset += record.bytes.len() as u64 + record.skipped;
        end.packed = end.offset;
        end.records += 1;
    }
    if end.offset < len {
        file.set_len(end.offset)?;
    }
    Ok((file, Known { index, end }))
}
