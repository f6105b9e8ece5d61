//! A layer on its way in: its blob as it came, and its files in a snapshot, made side by side.

use std::io::{self, Read, Write};
use std::sync::{Arc, PoisonError};

use gantry_archive::{
    Compression, Decoder, ExtractOptions, Extracted, Reader, Root, Whiteouts, extract, settle,
};
use gantry_content::Ingest;
use gantry_names::{ChainId, DiffId, Digest, Hasher};

use crate::stream::{PipeReader, PipeWriter, pipe, read_piece};
use crate::{Error, ImageStore, Layer, Lease, Result};

/// A layer unpacked apart from those below it: what is left is to put it in its place.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// The active snapshot its files are in.
    pub(crate) key: String,
    /// The digest of its uncompressed tar; `None` if its stream was not compressed, for then it is the blob's own.
    inflated: Option<Digest>,
    /// How its blob is compressed.
    pub(crate) compression: Compression,
    /// What unpacking left to be settled.
    pub(crate) extracted: Extracted,
}

impl Unpacked {
    /// The digest of its uncompressed tar, `blob` being that of its stream as it came.
    pub(crate) fn diff_id(&self, blob: &Digest) -> DiffId {
        DiffId(self.inflated.clone().unwrap_or_else(|| blob.clone()))
    }
}

/// Where a layer goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The layers below.
    pub(crate) parent: Option<&'a ChainId>,
    /// What its bytes must hash to once uncompressed.
    pub(crate) expected: Option<&'a DiffId>,
    /// Which layer of its image it is, from the bottom, for errors.
    pub(crate) index: usize,
    /// It was unpacked on nothing.
    pub(crate) apart: bool,
}

/// What the keys of snapshots that are being unpacked begin with.
pub(crate) const UNPACKING: &str = "unpack-";

/// Most layers an image may have: Docker's limit, and below what the kernel's overlay mounts.
pub(crate) const DEPTH_LIMIT: usize = 125;

/// The media type of a layer blob by its compression: OCI image spec, layer.md.
pub(crate) fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        // Neither bzip2 nor xz has a media type of its own; who reads the blob tells by its first bytes.
        Compression::None | Compression::Bzip2 | Compression::Xz => "application/vnd.oci.image.layer.v1.tar",
    }
}

impl ImageStore {
    /// Brings a layer in on top of `parent`: the blob is kept as it comes, and unpacked while it comes.
    ///
    /// `lease` keeps what came in until the image that needs it is on record. `expected` is what the layer's bytes must
    /// hash to once uncompressed.
    pub fn ingest_layer(
        &self,
        lease: &Lease,
        parent: Option<&ChainId>,
        expected: Option<&DiffId>,
        mut input: impl Read,
    ) -> Result<Layer> {
        let (mut to_unpack, from_blob) = pipe();
        let below = parent.map(ToString::to_string);
        let mut ingest = self.inner.content.ingest_nameless()?;
        let unpacked = std::thread::scope(|scope| {
            let unpacking = scope.spawn(move || self.unpack_stream(from_blob, below.as_deref()));
            let fed = feed(&mut input, &mut ingest, &mut to_unpack);
            match &fed {
                Ok(_) => drop(to_unpack.finish()),
                Err(_) => {
                    to_unpack.fail(io::Error::other("the layer's stream broke off"));
                }
            }
            let unpacked = join(unpacking);
            let fed = match (&unpacked, fed) {
                (Ok(_), Ok(Fed::Half)) => io::copy(&mut input, &mut ingest).map(drop),
                (_, fed) => fed.map(drop),
            };
            // The first cause is the one to tell: a stream that broke off also fails to unpack.
            match (fed, unpacked) {
                (Ok(()), Ok(unpacked)) => Ok(unpacked),
                (Err(error), Ok(unpacked)) => {
                    self.discard(&unpacked.key);
                    Err(error.into())
                }
                (Err(error), Err(_)) => Err(error.into()),
                (Ok(()), Err(error)) => Err(error),
            }
        })?;
        let blob_size = ingest.offset();
        let blob = match ingest.commit(None, None) {
            Ok(blob) => blob,
            Err(error) => {
                self.discard(&unpacked.key);
                return Err(error.into());
            }
        };
        self.place(lease, unpacked, (blob, blob_size), Place { parent, expected, index: 0, apart: false })
    }

    /// Unpacks a blob that is here on top of `parent`.
    pub fn unpack_layer(
        &self,
        lease: &Lease,
        parent: Option<&ChainId>,
        layer: &Layer,
        index: usize,
    ) -> Result<()> {
        let chain = ChainId::extend(parent, &layer.diff_id);
        lease.hold(&chain);
        if self.inner.snapshots.stat(chain.as_ref()).is_ok() {
            return Ok(());
        }
        let below = parent.map(ToString::to_string);
        let unpacked = self.unpack_blob(&layer.blob, below.as_deref())?;
        let blob = (layer.blob.clone(), layer.blob_size);
        let place = Place { parent, expected: Some(&layer.diff_id), index, apart: false };
        self.place(lease, unpacked, blob, place).map(|_| ())
    }

    /// Unpacks a blob that is here, checking its bytes on the way: a damaged one is told by its name, whatever else comes
    /// of it.
    fn unpack_blob(&self, blob: &Digest, below: Option<&str>) -> Result<Unpacked> {
        let mut file = self.inner.content.open_blob(blob)?;
        let (mut to_unpack, bytes) = pipe();
        let (read, unpacked) = std::thread::scope(|scope| {
            let unpacking = scope.spawn(move || self.unpack_stream(bytes, below));
            let mut hasher = Hasher::new();
            let mut wanted = true;
            let read = loop {
                match read_piece(&mut file) {
                    Ok(piece) if piece.is_empty() => break Ok(hasher.finish()),
                    Ok(piece) => {
                        hasher.update(&piece);
                        wanted = wanted && to_unpack.send_piece(piece).is_ok();
                    }
                    Err(error) => break Err(error),
                }
            };
            match &read {
                Ok(_) => drop(to_unpack.finish()),
                Err(error) => {
                    to_unpack.fail(error.kind().into());
                }
            }
            (read, join(unpacking))
        });
        match read {
            Ok(found) if found == *blob => unpacked,
            other => {
                if let Ok(unpacked) = &unpacked {
                    self.discard(&unpacked.key);
                }
                Err(gantry_content::Error::Damaged { digest: blob.clone(), found: other? }.into())
            }
        }
    }

    /// Turns the changes of an active snapshot into a layer on `parent`. With `consume` the snapshot itself becomes the
    /// layer; without, it stays (a container that is committed runs on) and the layer is a copy. `None` where nothing
    /// changed; a consumed snapshot is removed then. The snapshot may stand on `parent`'s init layer, which is left out.
    pub fn layer_of_snapshot(
        &self,
        lease: &Lease,
        key: &str,
        parent: Option<&ChainId>,
        consume: bool,
    ) -> Result<Option<Layer>> {
        if self.inner.snapshots.changes(key)?.is_empty() {
            if consume {
                self.inner.snapshots.remove(key)?;
            }
            return Ok(None);
        }
        let below = self.inner.snapshots.stat(key)?.parent;
        let elsewhere = below.as_deref() != parent.map(ChainId::as_str);
        if !consume || (elsewhere && !self.inner.snapshots.layers_apart()) {
            let (mut writer, reader) = pipe();
            let layer = std::thread::scope(|scope| {
                let packing = scope.spawn(move || match self.inner.snapshots.diff_tar(key, &mut writer) {
                    // A reader that is gone has the cause itself.
                    Ok(()) => writer.finish().map_err(|error| (false, Error::from(error))),
                    Err(error) => {
                        let heard = writer.fail(io::Error::other("packing the changes failed"));
                        Err((heard, Error::from(error)))
                    }
                });
                let layer = self.ingest_layer(lease, parent, None, reader);
                match (layer, join(packing)) {
                    (Ok(layer), Ok(())) => Ok(Some(layer)),
                    (Ok(_), Err((_, cause))) | (Err(_), Err((true, cause))) => Err(cause),
                    (Err(cause), _) => Err(cause),
                }
            });
            if consume && layer.is_ok() {
                self.discard(key);
            }
            return layer;
        }
        if self.inner.snapshots.lower_dirs(parent.map(ChainId::as_str))?.len() >= DEPTH_LIMIT {
            return Err(Error::TooDeep);
        }
        let mut ingest = self.inner.content.ingest_nameless()?;
        self.inner.snapshots.diff_tar(key, &mut ingest)?;
        let blob_size = ingest.offset();
        let blob = ingest.commit(None, None)?;
        let diff_id = DiffId(blob.clone());
        let size = self.inner.snapshots.usage(key)?.bytes;
        let chain = ChainId::extend(parent, &diff_id);
        lease.hold(&chain);
        let committed = match elsewhere {
            true => self.inner.snapshots.commit_on(chain.as_ref(), key, parent.map(ChainId::as_str)),
            false => self.inner.snapshots.commit(chain.as_ref(), key),
        };
        match committed {
            Ok(()) => {}
            Err(gantry_snapshots::Error::Exists(_)) => self.discard(key),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(Layer { diff_id, blob, media_type: media_type(Compression::None).into(), blob_size, size }))
    }

    /// Writes a stream to the content store and to whoever unpacks it. Where unpacking gave up, the blob is filled all the same:
    /// whether it is needed is for others to say.
    pub(crate) fn fill_blob(
        &self,
        mut input: &mut dyn Read,
        mut also: Option<&mut PipeWriter>,
    ) -> Result<Ingest> {
        let mut ingest = self.inner.content.ingest_nameless()?;
        loop {
            let piece = read_piece(&mut input)?;
            if piece.is_empty() {
                return Ok(ingest);
            }
            if let Some(writer) = &mut also
                && writer.send_piece(Arc::clone(&piece)).is_err()
            {
                also = None;
            }
            ingest.write_all(&piece)?;
        }
    }

    /// Unpacks a layer's stream into a fresh snapshot on `below`. Nothing is left where it fails.
    pub(crate) fn unpack_stream(
        &self,
        input: impl Read + Send + 'static,
        below: Option<&str>,
    ) -> Result<Unpacked> {
        let key = format!("{UNPACKING}{}", gantry_names::ContainerId::random().short());
        self.inner.snapshots.prepare(&key, below)?;
        let unpacked = self.unpack_into(&key, input);
        if unpacked.is_err() {
            self.discard(&key);
        }
        unpacked
    }

    fn unpack_into(&self, key: &str, input: impl Read + Send + 'static) -> Result<Unpacked> {
        let mut decoder = Decoder::new(input)?;
        let compression = decoder.compression();
        let root = Root::open(&self.inner.snapshots.layer_dir(key)?)?;
        let whiteouts = self.inner.snapshots.whiteouts();
        if compression == Compression::None {
            let extracted = untar(decoder, &root, whiteouts)?;
            return Ok(Unpacked { key: key.to_owned(), inflated: None, compression, extracted });
        }
        // Inflating, hashing and writing files have a thread each.
        let (mut to_tar, tar) = pipe();
        let (mut to_hash, mut hashed) = pipe();
        let (extracted, digest) = std::thread::scope(|scope| {
            scope.spawn(move || {
                loop {
                    match read_piece(&mut decoder) {
                        Ok(piece) if piece.is_empty() => return,
                        Ok(piece) => {
                            let sent = to_hash
                                .send_piece(Arc::clone(&piece))
                                .and_then(|()| to_tar.send_piece(piece));
                            // A stage that went away tells itself why.
                            if sent.is_err() {
                                return;
                            }
                        }
                        Err(error) => {
                            to_hash.fail(error.kind().into());
                            to_tar.fail(error);
                            return;
                        }
                    }
                }
            });
            let hashing = scope.spawn(move || -> io::Result<Digest> {
                let mut hasher = Hasher::new();
                while let Some(piece) = hashed.next_piece()? {
                    hasher.update(&piece);
                }
                Ok(hasher.finish())
            });
            let extracted = untar(tar, &root, whiteouts)?;
            Ok::<_, Error>((extracted, join(hashing)?))
        })?;
        Ok(Unpacked { key: key.to_owned(), inflated: Some(digest), compression, extracted })
    }

    /// Gives an unpacked layer its place and its name.
    pub(crate) fn place(
        &self,
        lease: &Lease,
        unpacked: Unpacked,
        (blob, blob_size): (Digest, u64),
        place: Place<'_>,
    ) -> Result<Layer> {
        let snapshots = &self.inner.snapshots;
        let Place { parent, expected, index, apart } = place;
        let diff_id = unpacked.diff_id(&blob);
        let placed = || -> Result<()> {
            if let Some(expected) = expected.filter(|expected| **expected != diff_id) {
                let (expected, found) = (expected.to_string(), diff_id.to_string());
                return Err(Error::DiffId { index, expected, found });
            }
            let chain = ChainId::extend(parent, &diff_id);
            lease.hold(&chain);
            let below = parent.map(ToString::to_string);
            let roots = snapshots.lower_dirs(below.as_deref())?;
            if roots.len() >= DEPTH_LIMIT {
                return Err(Error::TooDeep);
            }
            let roots: Vec<Root> = roots.iter().map(|path| Root::open(path)).collect::<io::Result<_>>()?;
            let root = Root::open(&snapshots.layer_dir(&unpacked.key)?)?;
            settle(&root, &roots, &unpacked.extracted, snapshots.whiteouts())?;
            // Who finds the layer there finds it whole: nobody else is in the middle of putting it there.
            let _one = self.inner.placing.lock().unwrap_or_else(PoisonError::into_inner);
            let committed = if apart {
                snapshots.commit_on(chain.as_ref(), &unpacked.key, below.as_deref())
            } else {
                snapshots.commit(chain.as_ref(), &unpacked.key)
            };
            match committed {
                Ok(()) => Ok(()),
                // Somebody else brought the same layer in meanwhile, or it was here all along.
                Err(gantry_snapshots::Error::Exists(_)) => {
                    self.discard(&unpacked.key);
                    Ok(())
                }
                Err(error) => Err(error.into()),
            }
        };
        if let Err(error) = placed() {
            self.discard(&unpacked.key);
            return Err(error);
        }
        Ok(Layer {
            diff_id,
            blob,
            media_type: media_type(unpacked.compression).to_owned(),
            blob_size,
            size: unpacked.extracted.bytes,
        })
    }

    /// Removes a snapshot that became of no use. One that cannot be removed is swept at the next start.
    pub(crate) fn discard(&self, key: &str) {
        let _swept_later = self.inner.snapshots.remove(key);
    }
}

/// The result of a scoped thread; its panic goes on here.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// How much of a layer's stream [`feed`] took.
enum Fed {
    Whole,
    /// Who unpacks wants no more of it.
    Half,
}

/// Writes a stream to the content store and to whoever unpacks it, for as long as that one takes it.
fn feed(input: &mut impl Read, ingest: &mut Ingest, to_unpack: &mut PipeWriter) -> io::Result<Fed> {
    loop {
        let piece = read_piece(input)?;
        if piece.is_empty() {
            return Ok(Fed::Whole);
        }
        ingest.write_all(&piece)?;
        if to_unpack.send_piece(piece).is_err() {
            return Ok(Fed::Half);
        }
    }
}

fn untar(input: impl Read, root: &Root, whiteouts: Whiteouts) -> Result<Extracted> {
    let mut reader = Reader::new(input);
    let options = ExtractOptions { whiteouts, beside: true, ..ExtractOptions::default() };
    let extracted = extract(&mut reader, root, &options)?;
    // What stands behind the end of the archive belongs to the layer's digest as well.
    reader.drain()?;
    Ok(extracted)
}

/// A layer unpacked on a thread of its own while its bytes are handed to `writer`.
pub(crate) type Unpacking = std::thread::JoinHandle<Result<Unpacked>>;

impl ImageStore {
    /// Begins to unpack, apart from any parent, what will be written to the pipe that `reader` is the end of.
    pub(crate) fn unpack_apart(&self, reader: PipeReader) -> Unpacking {
        let store = self.clone();
        std::thread::spawn(move || store.unpack_stream(reader, None))
    }
}
