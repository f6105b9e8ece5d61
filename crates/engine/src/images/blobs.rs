//! The content store as a pull and a push see it.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_distribution::sink::{Blobs, Ingest};
use gantry_images::{Arrived, Arriving, ImageStore};
use gantry_names::Digest;

/// Blobs by digest, broken downloads that go on where they ended, and layers that are unpacked while they come.
pub(super) struct Keeper {
    images: ImageStore,
    arrived: Arc<Waiting>,
}

/// Layers that have come and wait for their place.
type Waiting = Mutex<HashMap<Digest, Arrived>>;

impl Keeper {
    pub(super) fn new(images: ImageStore) -> Keeper {
        Keeper { images, arrived: Arc::default() }
    }

    /// A layer that came by this keeper, unpacked.
    pub(super) fn take(&self, blob: &Digest) -> Option<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).remove(blob)
    }

    fn begin(&self, digest: &Digest) -> io::Result<Incoming> {
        let ingest = self.images.content().ingest(digest.as_str())?;
        Ok(Incoming {
            images: self.images.clone(),
            ingest,
            unpacking: None,
            arrived: Arc::clone(&self.arrived),
        })
    }
}

impl Blobs for Keeper {
    fn has(&self, digest: &Digest, size: u64) -> io::Result<bool> {
        let content = self.images.content();
        if !content.touch(digest) {
            return Ok(false);
        }
        // A damaged blob is fetched again in its place.
        let whole =
            content.stat(digest).is_ok_and(|info| info.size == size) && content.verify(digest).is_ok();
        if whole { Ok(true) } else { content.delete(digest).map(|()| false).map_err(io::Error::from) }
    }

    fn ingest(&self, digest: &Digest, _size: u64) -> io::Result<Box<dyn Ingest>> {
        Ok(Box::new(self.begin(digest)?))
    }

    fn ingest_layer(&self, digest: &Digest, _size: u64) -> io::Result<Box<dyn Ingest>> {
        let mut incoming = self.begin(digest)?;
        incoming.unpack()?;
        Ok(Box::new(incoming))
    }

    fn read(&self, digest: &Digest, most: u64) -> io::Result<Vec<u8>> {
        Ok(self.images.content().read(digest, most)?)
    }

    fn open(&self, digest: &Digest, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = self.images.content().open_blob(digest)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

/// A blob on its way to the disk and, if it is a layer, through the unpacker.
struct Incoming {
    images: ImageStore,
    ingest: gantry_content::Ingest,
    unpacking: Option<Arriving>,
    arrived: Arc<Waiting>,
}

impl Incoming {
    /// Begins to unpack; what an earlier attempt brought comes first.
    fn unpack(&mut self) -> io::Result<()> {
        self.unpacking = self.images.arriving();
        let Some(unpacking) = &mut self.unpacking else { return Ok(()) };
        let mut earlier = self.ingest.written()?;
        let mut piece = vec![0; 256 << 10];
        loop {
            match earlier.read(&mut piece)? {
                0 => return Ok(()),
                count => unpacking.write(&piece[..count]),
            }
        }
    }
}

impl Ingest for Incoming {
    fn offset(&self) -> u64 {
        self.ingest.offset()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.ingest.write_all(bytes)?;
        if let Some(unpacking) = &mut self.unpacking {
            unpacking.write(bytes);
        }
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.ingest.restart()?;
        if self.unpacking.take().is_some() {
            self.unpacking = self.images.arriving();
        }
        Ok(())
    }

    fn commit(self: Box<Self>, digest: &Digest, size: u64) -> io::Result<()> {
        let Incoming { ingest, unpacking, arrived, .. } = *self;
        match ingest.commit(Some(digest), Some(size)) {
            Ok(_) => {}
            Err(
                error @ (gantry_content::Error::DigestMismatch { .. }
                | gantry_content::Error::SizeMismatch { .. }),
            ) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) => return Err(error.into()),
        }
        if let Some(layer) = unpacking.and_then(|unpacking| unpacking.finish(digest.clone(), size)) {
            arrived.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone(), layer);
        }
        Ok(())
    }
}
