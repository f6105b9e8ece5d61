//! The two files beneath the journal.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::Event;

const HEADER_BYTES: usize = 8;
/// No event is longer; a longer length in the file is damage.
const MAX_EVENT_BYTES: usize = 1 << 20;

pub(crate) struct Files {
    path: PathBuf,
    file: File,
    length: u64,
    max_bytes: u64,
}

impl Files {
    /// Opens the newest file and cuts off a half-written end.
    pub(crate) fn open(dir: &Path, max_bytes: u64) -> io::Result<(Files, Option<i64>)> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("events.log");
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let mut last = None;
        let whole = scan(&file, |event| last = Some(event.time_ns))?;
        if whole < file.metadata()?.len() {
            file.set_len(whole)?;
        }
        if last.is_none()
            && let Ok(old) = File::open(old_path(&path))
        {
            scan(&old, |event| last = Some(event.time_ns))?;
        }
        Ok((Files { path, file, length: whole, max_bytes }, last))
    }

    pub(crate) fn append(&mut self, event: &Event) -> io::Result<()> {
        let json = serde_json::to_vec(event)?;
        let length = u32::try_from(json.len()).ok().filter(|len| *len as usize <= MAX_EVENT_BYTES);
        let length = length.ok_or_else(|| io::Error::other("event too long"))?;
        if self.length + (HEADER_BYTES + json.len()) as u64 > self.max_bytes && self.length > 0 {
            self.rotate()?;
        }
        let mut row = Vec::with_capacity(HEADER_BYTES + json.len());
        row.extend_from_slice(&length.to_le_bytes());
        row.extend_from_slice(&crc32fast::hash(&json).to_le_bytes());
        row.extend_from_slice(&json);
        match self.file.write_all(&row) {
            Ok(()) => {
                self.length += row.len() as u64;
                Ok(())
            }
            Err(err) => {
                // A half-written row would hide all that follow it.
                let _ = self.file.set_len(self.length);
                Err(err)
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        std::fs::rename(&self.path, old_path(&self.path))?;
        self.file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
        self.length = 0;
        Ok(())
    }

    /// All kept events, oldest first.
    pub(crate) fn replay(&self, mut each: impl FnMut(Event)) -> io::Result<()> {
        match File::open(old_path(&self.path)) {
            Ok(old) => drop(scan(&old, &mut each)?),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(err),
        }
        scan(&self.file, each).map(drop)
    }
}

fn old_path(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// Reads rows until the end or the first damage; gives the length of what is whole.
fn scan(file: &File, mut each: impl FnMut(Event)) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let mut whole = 0;
    let mut json = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        if !read_whole(&mut reader, &mut header)? {
            return Ok(whole);
        }
        let [a, b, c, d, sum @ ..] = header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > MAX_EVENT_BYTES {
            return Ok(whole);
        }
        json.resize(length, 0);
        if !read_whole(&mut reader, &mut json)? || crc32fast::hash(&json) != u32::from_le_bytes(sum) {
            return Ok(whole);
        }
        // A row of a newer program that this one cannot read is skipped, not an end.
        if let Ok(event) = serde_json::from_slice(&json) {
            each(event);
        }
        whole += (HEADER_BYTES + length) as u64;
    }
}

fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(err) => Err(err),
    }
}
