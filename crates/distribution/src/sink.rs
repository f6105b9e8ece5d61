//! What a pull and a push ask of whoever keeps the blobs. All calls block; they are made on blocking threads.

use std::io::{self, Read};

use gantry_names::Digest;

use crate::manifest::Descriptor;

/// A keeper of blobs.
pub trait Blobs: Send + Sync + 'static {
    /// Whether the whole blob is here.
    fn has(&self, digest: &Digest, size: u64) -> io::Result<bool>;
    /// Begins to take a blob, or goes on where an earlier, broken attempt ended. One writer per blob: this crate sees
    /// to that.
    fn ingest(&self, digest: &Digest, size: u64) -> io::Result<Box<dyn Ingest>>;
    /// The same for a layer of an image: who unpacks while bytes come does it here.
    fn ingest_layer(&self, digest: &Digest, size: u64) -> io::Result<Box<dyn Ingest>> {
        self.ingest(digest, size)
    }
    /// A whole blob that is at most `most` bytes long. `NotFound` when there is none.
    fn read(&self, digest: &Digest, most: u64) -> io::Result<Vec<u8>>;
    /// A blob from `offset` on. `NotFound` when there is none.
    fn open(&self, digest: &Digest, offset: u64) -> io::Result<Box<dyn Read + Send>>;
}

/// A blob on its way in.
pub trait Ingest: Send {
    /// Bytes that are here, also from an earlier attempt.
    fn offset(&self) -> u64;
    /// Takes more bytes in.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Forgets all bytes: the other side cannot go on in the middle.
    fn restart(&mut self) -> io::Result<()>;
    /// Verifies the digest of all bytes and makes them a blob, durable when this returns. `InvalidData` when they are
    /// something else; then nothing is left of them.
    fn commit(self: Box<Self>, digest: &Digest, size: u64) -> io::Result<()>;
}

/// A blob's name and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

impl From<&Descriptor> for Blob {
    fn from(descriptor: &Descriptor) -> Self {
        Self { digest: descriptor.digest.clone(), size: descriptor.size }
    }
}

/// A blob that is to be sent, whole or still being made.
pub trait Source: Send + Sync + 'static {
    /// Its bytes from `offset` on: whoever reads waits for those that are not made yet. `NotFound` when it is gone.
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>>;
    /// About how many bytes it will have. Does not block.
    fn length(&self) -> u64;
    /// Waits until it is whole. Fails if it cannot be made.
    fn whole(&self) -> io::Result<Blob>;
}
