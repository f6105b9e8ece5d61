use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_names::{Digest, Hasher};

use crate::store::ContentStore;
use crate::{Error, Result};

/// The file an ingest's bytes go to.
pub(crate) const DATA: &str = "data";
/// So many bytes are handed to the disk at once while more come in: the sync at the end finds little left.
const STRIDE: u64 = 8 << 20;

/// The ingest directories somebody writes to right now.
pub(crate) type Writers = Arc<Mutex<HashSet<PathBuf>>>;

/// A blob on its way in. Bytes go to the file and through the hash as they are written.
///
/// Dropped without [`Ingest::commit`], a named ingest stays on disk and a later [`ContentStore::ingest`] of the same key
/// goes on where it ended; a nameless one is thrown away.
#[derive(Debug)]
pub struct Ingest {
    store: ContentStore,
    dir: PathBuf,
    file: File,
    hasher: Option<Hasher>,
    offset: u64,
    /// How far the disk has been asked to write.
    asked: u64,
    keep: bool,
    _claim: Claim,
}

impl Ingest {
    /// Opens (or goes on with) the ingest in `dir`.
    pub(crate) fn open(store: ContentStore, dir: PathBuf, key: Option<&str>) -> Result<Ingest> {
        let claim =
            Claim::take(store.writers(), &dir).ok_or_else(|| Error::Busy(key.unwrap_or("").to_owned()))?;
        fs::create_dir_all(&dir).map_err(Error::io("making ingest", &dir))?;
        if let Some(key) = key {
            let note = dir.join("key");
            if !note.exists() {
                fs::write(&note, key).map_err(Error::io("writing", &note))?;
            }
        }
        let path = dir.join(DATA);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("opening ingest", &path))?;
        let mut hasher = Hasher::new();
        let offset = rehash(&mut file, &mut hasher).map_err(Error::io("reading ingest", &path))?;
        Ok(Ingest {
            store,
            dir,
            file,
            hasher: Some(hasher),
            offset,
            asked: offset,
            keep: key.is_some(),
            _claim: claim,
        })
    }

    /// How many bytes are here already; a resumed download asks for what comes after.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that are here, from their beginning.
    pub fn written(&self) -> Result<impl Read + use<>> {
        let path = self.dir.join(DATA);
        let file = File::open(&path).map_err(Error::io("reading ingest", &path))?;
        Ok(file.take(self.offset))
    }

    /// The file the bytes go to, to be read at offsets while more come. It stays readable whatever becomes of the ingest.
    pub fn reader(&self) -> Result<File> {
        let path = self.dir.join(DATA);
        File::open(&path).map_err(Error::io("reading ingest", &path))
    }

    /// The digest of the bytes that are here.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().unwrap_or_default().finish()
    }

    /// Throws away what is here and begins anew at offset 0.
    pub fn restart(&mut self) -> Result<()> {
        let path = self.dir.join(DATA);
        self.file.set_len(0).map_err(Error::io("truncating", &path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(Error::io("rewinding", &path))?;
        self.hasher = Some(Hasher::new());
        (self.offset, self.asked) = (0, 0);
        Ok(())
    }

    /// Makes the bytes a blob: checks them, fsyncs, renames. A blob that is there already is success.
    ///
    /// When digest or size is not the expected one the ingest is thrown away: going on with wrong bytes can
    /// never end well.
    pub fn commit(mut self, expected: Option<&Digest>, expected_size: Option<u64>) -> Result<Digest> {
        let found = self.hasher.take().map(Hasher::finish).unwrap_or_else(|| Digest::sha256_of(b""));
        let wrong_size = expected_size.filter(|size| *size != self.offset);
        if let Some(expected) = wrong_size {
            self.keep = false;
            return Err(Error::SizeMismatch { expected, found: self.offset });
        }
        if let Some(expected) = expected.filter(|digest| **digest != found) {
            self.keep = false;
            return Err(Error::DigestMismatch { expected: expected.clone(), found });
        }
        let from = self.dir.join(DATA);
        self.store.admit(&found, &self.file, &from)?;
        self.keep = false;
        Ok(found)
    }

    /// The disk works while the bytes come; a file system that cannot be asked is asked in vain.
    fn write_behind(&mut self) {
        if self.offset >= self.asked + STRIDE {
            let _ = gantry_sys::writeback::begin(self.file.as_fd(), self.asked, self.offset - self.asked);
            self.asked = self.offset;
        }
    }

    /// Throws the ingest away.
    pub fn abort(mut self) {
        self.keep = false;
    }
}

impl Write for Ingest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes[..n]);
        }
        self.offset += n as u64;
        self.write_behind();
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if !self.keep {
            // Best effort: what is left over is removed at the next open or resumed by its key.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn rehash(file: &mut File, hasher: &mut Hasher) -> io::Result<u64> {
    let mut buffer = vec![0u8; 256 * 1024];
    let mut total = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(total),
            n => {
                hasher.update(&buffer[..n]);
                total += n as u64;
            }
        }
    }
}

/// One writer per ingest directory, for as long as this lives.
#[derive(Debug)]
struct Claim {
    writers: Writers,
    dir: PathBuf,
}

impl Claim {
    fn take(writers: &Writers, dir: &Path) -> Option<Claim> {
        let fresh = writers.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned());
        fresh.then(|| Claim { writers: Arc::clone(writers), dir: dir.to_owned() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.dir);
    }
}
