use std::io::{self, Write};

use gantry_names::{ChainId, DiffId, Digest};

use crate::layer::{Place, Unpacked, Unpacking};
use crate::stream::{PipeWriter, pipe};
use crate::{ImageStore, Layer, Lease, Result};

/// A layer that is unpacked while its bytes come, before it is known whether they are the right ones and what stands
/// below it. Dropped before its end it leaves nothing.
pub struct Arriving {
    store: ImageStore,
    writer: Option<PipeWriter>,
    unpacking: Option<Unpacking>,
}

/// A layer that has come whole and waits for its place. Dropped without one it leaves nothing.
pub struct Arrived {
    store: ImageStore,
    unpacked: Option<Unpacked>,
    blob: Digest,
    size: u64,
}

impl ImageStore {
    /// Begins to unpack a layer whose bytes will be written. `None` where the driver unpacks only in place.
    pub fn arriving(&self) -> Option<Arriving> {
        if !self.inner.snapshots.layers_apart() {
            return None;
        }
        let (writer, reader) = pipe();
        let unpacking = self.unpack_apart(reader);
        Some(Arriving { store: self.clone(), writer: Some(writer), unpacking: Some(unpacking) })
    }

    /// Puts a layer that has come in its place. `expected` is what its bytes must hash to once uncompressed.
    pub fn place_arrived(
        &self,
        lease: &Lease,
        mut arrived: Arrived,
        parent: Option<&ChainId>,
        expected: &DiffId,
        index: usize,
    ) -> Result<Option<Layer>> {
        let Some(unpacked) = arrived.unpacked.take() else { return Ok(None) };
        let place = Place { parent, expected: Some(expected), index, apart: true };
        self.place(lease, unpacked, (arrived.blob.clone(), arrived.size), place).map(Some)
    }
}

impl Arriving {
    /// Takes more bytes. Where unpacking gave up they are dropped: whoever unpacks the whole blob is told why.
    pub fn write(&mut self, bytes: &[u8]) {
        let taken = self.writer.as_mut().map(|writer| writer.write_all(bytes));
        if matches!(taken, Some(Err(_))) {
            self.writer = None;
        }
    }

    /// All bytes were written and are the blob of this name. `None` if they cannot be unpacked.
    pub fn finish(mut self, blob: Digest, size: u64) -> Option<Arrived> {
        self.writer.take()?.finish().ok()?;
        let unpacked = ended(self.unpacking.take()?).ok();
        Some(Arrived { store: self.store.clone(), unpacked: Some(unpacked?), blob, size })
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.fail(io::Error::other("the layer's stream broke off"));
        }
        if let Some(Ok(unpacked)) = self.unpacking.take().map(ended) {
            self.store.discard(&unpacked.key);
        }
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if let Some(unpacked) = self.unpacked.take() {
            self.store.discard(&unpacked.key);
        }
    }
}

fn ended(unpacking: Unpacking) -> Result<Unpacked> {
    unpacking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
