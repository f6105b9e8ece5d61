use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use gantry_archive::{Compression, Decoder, PackedWriter, Packing};
use gantry_content::Ingest;
use gantry_names::Digest;

use crate::compress::{LEVEL, PIECE};
use crate::layer::media_type;
use crate::{Error, ImageStore, Layer, Result};

/// A plain layer that is packed while its bytes leave. Packing waits for nobody: what is packed lies on the disk and can be read
/// from any offset, again and again. Dropped before its end it leaves nothing.
#[derive(Debug)]
pub struct Departing {
    shared: Arc<Shared>,
    packing: Mutex<Option<JoinHandle<Result<Layer>>>>,
}

/// Between the thread that packs and those that read.
#[derive(Debug)]
struct Shared {
    packed: File,
    /// Bytes of the plain layer.
    plain: u64,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Plain bytes that were taken.
    taken: u64,
    /// Packed bytes that can be read.
    written: u64,
    /// Nobody wants it any more.
    given_up: bool,
    /// How it ended.
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    Whole(Digest),
    Failed(io::ErrorKind, String),
}

impl ImageStore {
    /// Begins to pack a plain layer. Once it is packed it takes the plain one's place in every image that no registry knows.
    /// `slot` is let go when packing ends.
    pub fn departing(&self, plain: &Layer, slot: impl Send + 'static) -> Result<Departing> {
        let lease = self.lease();
        let bytes = Decoder::new(self.inner.content.open_blob(&plain.blob)?)?;
        let ingest = self.inner.content.ingest_nameless()?;
        let shared = Arc::new(Shared {
            packed: ingest.reader()?,
            plain: plain.blob_size,
            state: Mutex::default(),
            moved: Condvar::new(),
        });
        let (store, plain, of) = (self.clone(), plain.clone(), Arc::clone(&shared));
        let packing = std::thread::spawn(move || {
            let _told = Ending(&of);
            let ended = of.pack(bytes, ingest).and_then(|ingest| {
                drop(slot);
                store.arrive(&plain, ingest)
            });
            if let Err(error) = &ended {
                of.fail(error);
            }
            drop(lease);
            ended
        });
        Ok(Departing { shared, packing: Mutex::new(Some(packing)) })
    }

    /// Keeps a packed layer, in the plain one's place.
    fn arrive(&self, plain: &Layer, packed: Ingest) -> Result<Layer> {
        let blob_size = packed.offset();
        let blob = packed.commit(None, None)?;
        let media_type = media_type(Compression::Gzip).to_owned();
        let packed = Layer { blob, blob_size, media_type, ..plain.clone() };
        self.replace_layer(plain, &packed)?;
        Ok(packed)
    }
}

impl Departing {
    /// Its packed bytes from `offset` on; reading waits for those that are not there yet.
    pub fn open(&self, offset: u64) -> impl Read + Send + use<> {
        Packed { shared: Arc::clone(&self.shared), at: offset }
    }

    /// About how many packed bytes there will be, by what has been packed so far.
    pub fn length(&self) -> u64 {
        let state = self.shared.lock();
        match (&state.end, state.taken) {
            (Some(End::Whole(_)), _) => state.written,
            (_, 0) => self.shared.plain,
            (_, taken) => (state.written as f64 * self.shared.plain as f64 / taken as f64) as u64,
        }
    }

    /// Waits until all of it is packed: its name and size. It may not be kept yet.
    pub fn whole(&self) -> io::Result<(Digest, u64)> {
        let state = self.shared.wait(|state| state.end.is_some());
        match &state.end {
            Some(End::Whole(digest)) => Ok((digest.clone(), state.written)),
            Some(End::Failed(kind, text)) => Err(io::Error::new(*kind, text.clone())),
            None => unreachable!("waited for"),
        }
    }

    /// Waits until the packed layer is kept. To be asked once.
    pub fn landed(&self) -> Result<Option<Layer>> {
        let packing = self.packing.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended =
            packing.map(|packing| packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.transpose()
    }
}

/// Whoever waits is told of an end, also when the thread that packs breaks off.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.fail(&io::Error::other("packing broke off").into());
    }
}

impl Drop for Departing {
    fn drop(&mut self) {
        self.shared.lock().given_up = true;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.moved.wait_while(self.lock(), |state| !until(state)).unwrap_or_else(PoisonError::into_inner)
    }

    fn pack(&self, mut bytes: impl Read, ingest: Ingest) -> Result<Ingest> {
        let mut out = PackedWriter::new(Told { ingest, shared: self }, Packing::Gzip(LEVEL));
        let mut piece = vec![0; PIECE];
        loop {
            let count = bytes.read(&mut piece)?;
            if count == 0 {
                break;
            }
            out.write_all(&piece[..count])?;
            let mut state = self.lock();
            state.taken += count as u64;
            if state.given_up {
                return Err(io::Error::other("nobody waits for the layer any more").into());
            }
        }
        let ingest = out.finish()?.ingest;
        self.lock().end = Some(End::Whole(ingest.digest()));
        self.moved.notify_all();
        Ok(ingest)
    }

    /// Tells those that wait, unless all of it was packed: then they need not know that it could not be kept.
    fn fail(&self, error: &Error) {
        let kind = match error {
            Error::Io(cause) => cause.kind(),
            _ => io::ErrorKind::Other,
        };
        self.lock().end.get_or_insert_with(|| End::Failed(kind, error.to_string()));
        self.moved.notify_all();
    }
}

/// An ingest that tells how far it has come.
struct Told<'a> {
    ingest: Ingest,
    shared: &'a Shared,
}

impl Write for Told<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.ingest.write(bytes)?;
        self.shared.lock().written = self.ingest.offset();
        self.shared.moved.notify_all();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ingest.flush()
    }
}

/// Reads what is packed, as it comes.
struct Packed {
    shared: Arc<Shared>,
    at: u64,
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let written = {
            let state = self.shared.wait(|state| state.written > self.at || state.end.is_some());
            match &state.end {
                Some(End::Failed(kind, text)) => return Err(io::Error::new(*kind, text.clone())),
                _ => state.written,
            }
        };
        let left = usize::try_from(written.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let count = self.shared.packed.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
