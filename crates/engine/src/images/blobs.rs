//! The content store as a pull and a push see it.

use std::io::{self, Read, Seek, SeekFrom, Write};

use gantry_content::ContentStore;
use gantry_distribution::sink::{Blobs, Ingest};
use gantry_names::Digest;

/// Blobs by digest, and broken downloads that go on where they ended.
pub(super) struct Keeper(pub(super) ContentStore);

struct Incoming(gantry_content::Ingest);

impl Blobs for Keeper {
    fn has(&self, digest: &Digest, size: u64) -> io::Result<bool> {
        // A blob of the wrong size is damaged: it is fetched again in its place.
        match self.0.stat(digest) {
            Ok(info) if info.size == size => Ok(self.0.touch(digest)),
            Ok(_) => self.0.delete(digest).map(|()| false).map_err(io::Error::from),
            Err(_) => Ok(false),
        }
    }

    fn ingest(&self, digest: &Digest, _size: u64) -> io::Result<Box<dyn Ingest>> {
        Ok(Box::new(Incoming(self.0.ingest(digest.as_str())?)))
    }

    fn read(&self, digest: &Digest, most: u64) -> io::Result<Vec<u8>> {
        Ok(self.0.read(digest, most)?)
    }

    fn open(&self, digest: &Digest, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = self.0.open_blob(digest)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

impl Ingest for Incoming {
    fn offset(&self) -> u64 {
        self.0.offset()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn restart(&mut self) -> io::Result<()> {
        Ok(self.0.restart()?)
    }

    fn commit(self: Box<Self>, digest: &Digest, size: u64) -> io::Result<()> {
        match self.0.commit(Some(digest), Some(size)) {
            Ok(_) => Ok(()),
            Err(
                error @ (gantry_content::Error::DigestMismatch { .. }
                | gantry_content::Error::SizeMismatch { .. }),
            ) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) => Err(error.into()),
        }
    }
}
