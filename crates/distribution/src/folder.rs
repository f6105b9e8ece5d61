//! Blobs in a folder, each in a file named by its digest: for whoever brings images from one registry to another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gantry_names::{Digest, Hasher};

use crate::sink::{Blobs, Ingest};

/// The folder. It is the owner's to make and to remove.
pub struct Folder(PathBuf);

impl Folder {
    /// Blobs in `path`.
    pub fn new(path: &Path) -> Folder {
        Folder(path.to_owned())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(format!("{}-{}", digest.algorithm(), digest.hex()))
    }
}

impl Blobs for Folder {
    fn has(&self, digest: &Digest, size: u64) -> io::Result<bool> {
        Ok(fs::metadata(self.path(digest)).is_ok_and(|known| known.len() == size))
    }

    fn ingest(&self, digest: &Digest, _size: u64) -> io::Result<Box<dyn Ingest>> {
        let path = self.path(digest);
        let part = path.with_extension("part");
        let file = OpenOptions::new().read(true).append(true).create(true).open(&part)?;
        Ok(Box::new(Part { offset: file.metadata()?.len(), file, part, path }))
    }

    fn read(&self, digest: &Digest, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path(digest))?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn open(&self, digest: &Digest, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(self.path(digest))?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

struct Part {
    file: File,
    offset: u64,
    part: PathBuf,
    path: PathBuf,
}

impl Ingest for Part {
    fn offset(&self) -> u64 {
        self.offset
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.offset = 0;
        self.file.set_len(0)
    }

    fn commit(self: Box<Self>, digest: &Digest, _size: u64) -> io::Result<()> {
        let (mut file, mut hasher) = (File::open(&self.part)?, Hasher::new());
        let mut piece = vec![0; 256 << 10];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                count => hasher.update(&piece[..count]),
            }
        }
        if hasher.finish() == *digest {
            return fs::rename(&self.part, &self.path);
        }
        fs::remove_file(&self.part)?;
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("{digest}: other bytes came")))
    }
}
