//! `docker load`: an archive of images, read once, front to back.
//!
//! Archives of every era are read: `manifest.json` (Docker 1.10 and later), OCI image layouts (`index.json`), and the
//! first format (`repositories` and a folder a layer). Which one it is can be known only at the end of the stream, so
//! everything that looks like a layer is kept as a blob and unpacked on the way, and small documents stay in memory; then
//! [`Archive`] is put together by what the documents say.

mod docker;
mod legacy;
mod oci;

use std::collections::{HashMap, VecDeque};
use std::io::Read;

use gantry_archive::{Compression, Decoder, Kind, Reader};
use gantry_names::{ChainId, DiffId, Digest, ImageId, Platform, Reference};

use crate::layer::{Place, Unpacked, media_type};
use crate::store::MAX_DOCUMENT;
use crate::stream::{pipe, read_ahead};
use crate::{CreateOptions, Error, ImageStore, Layer, Lease, Result};

/// Most documents an archive may bring, and most bytes of them: more is no archive of images.
const DOCUMENTS_LIMIT: usize = 20_000;
const DOCUMENTS_BYTES: usize = 64 << 20;

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--platform`: which image of an index; this machine's where nothing is said.
    pub platform: Option<Platform>,
}

/// One line of what a load did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub id: ImageId,
    /// The name it got; none for an image the archive has no name for.
    pub reference: Option<Reference>,
    /// The other image that had the name before; Docker tells it: "The image x already exists, renaming the old one with ID
    /// y to empty string".
    pub previous: Option<ImageId>,
}

/// What a load tells while it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadEvent {
    /// Bytes of a layer have come in.
    Layer {
        /// Twelve digits that name the layer.
        id: String,
        /// Bytes so far.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
}

impl ImageStore {
    /// Loads every image of an archive. Names in the archive move to the loaded images.
    pub fn load(
        &self,
        input: impl Read + Send + 'static,
        options: &LoadOptions,
        told: &mut dyn FnMut(LoadEvent),
    ) -> Result<Vec<Loaded>> {
        let lease = self.lease();
        let mut archive = Archive {
            store: self,
            lease: &lease,
            documents: HashMap::new(),
            layers: HashMap::new(),
            links: HashMap::new(),
            refused: HashMap::new(),
            pending: VecDeque::new(),
            known: self.known_layers()?,
        };
        archive.read(input, told)?;
        if archive.documents.contains_key("manifest.json") {
            docker::load(&mut archive)
        } else if archive.documents.contains_key("index.json") {
            oci::load(&mut archive, options.platform.as_ref())
        } else if archive.documents.contains_key("repositories") {
            legacy::load(&mut archive)
        } else {
            Err(Error::Archive(
                "it has neither a manifest.json nor an index.json nor a repositories file".into(),
            ))
        }
    }
}

/// A layer of the archive that is in the content store.
#[derive(Debug)]
struct Piece {
    blob: Digest,
    size: u64,
    media_type: String,
    diff_id: DiffId,
    bytes: u64,
    /// Its files, unpacked apart; taken by the first image that has it.
    unpacked: Option<Unpacked>,
}

/// What was read of an archive.
pub(crate) struct Archive<'a> {
    store: &'a ImageStore,
    lease: &'a Lease,
    /// Small files by name.
    documents: HashMap<String, Vec<u8>>,
    /// Layers by the name of their file.
    layers: HashMap<String, Piece>,
    /// Links by name: to another file of the archive.
    links: HashMap<String, String>,
    /// Files that looked like layers and could not be unpacked. They matter only to an image that needs them: an
    /// attestation is as large as a layer and none.
    refused: HashMap<String, Error>,
    /// Layers whose last bytes are on their way to the disk, in the order they came.
    pending: VecDeque<(String, Taken)>,
    /// Layers that are here already, by their blob.
    known: HashMap<Digest, Layer>,
}

type Taken = std::thread::JoinHandle<Result<Piece>>;

/// Most layers whose last bytes may be on their way to the disk at once.
const PENDING_LIMIT: usize = 4;

impl Archive<'_> {
    fn read(&mut self, input: impl Read + Send + 'static, told: &mut dyn FnMut(LoadEvent)) -> Result<()> {
        // Undoing the archive's own compression has a thread to itself.
        let decoder = Decoder::new(input)?;
        let mut reader: Reader<Box<dyn Read>> = match decoder.compression() {
            Compression::None => Reader::new(Box::new(decoder)),
            _ => Reader::new(Box::new(read_ahead(decoder))),
        };
        let mut kept = 0;
        while let Some(entry) = reader.next_entry()? {
            let name = clean(&String::from_utf8_lossy(&entry.name));
            match entry.kind {
                Kind::File if looks_like_layer(&name, entry.size) => match self.here_already(&name) {
                    // Its name is its digest, and it is here: its bytes need not come again.
                    Some(piece) => drop(self.layers.insert(name, piece)),
                    None => self.take_layer(name, entry.size, &mut reader, told)?,
                },
                Kind::File => {
                    if entry.size > MAX_DOCUMENT {
                        continue; // Nothing of ours is that large; the reader passes over it.
                    }
                    let mut bytes = Vec::new();
                    (&mut reader).take(MAX_DOCUMENT).read_to_end(&mut bytes)?;
                    kept += bytes.len();
                    if self.documents.len() >= DOCUMENTS_LIMIT || kept > DOCUMENTS_BYTES {
                        return Err(Error::Archive("it has too many documents".into()));
                    }
                    self.documents.insert(name, bytes);
                }
                Kind::Symlink | Kind::HardLink => {
                    let target = String::from_utf8_lossy(&entry.link).into_owned();
                    let below = entry.kind == Kind::Symlink && !target.starts_with('/');
                    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let target = if below { clean(&format!("{folder}/{target}")) } else { clean(&target) };
                    self.links.insert(name, target);
                }
                _ => {}
            }
        }
        while self.settle_oldest() {}
        Ok(())
    }

    fn here_already(&self, name: &str) -> Option<Piece> {
        let digest = Digest::from_sha256_hex(name.strip_prefix("blobs/sha256/")?).ok()?;
        let layer = self.known.get(&digest).filter(|_| self.store.inner.content.touch(&digest))?;
        Some(Piece {
            blob: digest,
            size: layer.blob_size,
            media_type: layer.media_type.clone(),
            diff_id: layer.diff_id.clone(),
            bytes: layer.size,
            unpacked: None,
        })
    }

    /// Waits for the oldest layer that is still being written; `false` if there is none.
    fn settle_oldest(&mut self) -> bool {
        let Some((name, taken)) = self.pending.pop_front() else { return false };
        match taken.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            Ok(piece) => drop(self.layers.insert(name, piece)),
            Err(error) => drop(self.refused.insert(name, error)),
        }
        true
    }

    /// Keeps a layer's blob and unpacks it, apart from any parent where the driver can. The last bytes go to the disk while
    /// the next file is read.
    fn take_layer(
        &mut self,
        name: String,
        total: u64,
        reader: &mut Reader<Box<dyn Read>>,
        told: &mut dyn FnMut(LoadEvent),
    ) -> Result<()> {
        let id = short_name(&name);
        let mut current = 0;
        let mut next = 0;
        let mut watched = Watched {
            inner: reader,
            seen: &mut |count| {
                current += count as u64;
                // Twenty lines a layer are enough for a bar.
                if current >= next {
                    told(LoadEvent::Layer { id: id.clone(), current, total });
                    next = current + total / 20;
                }
            },
        };
        let store = self.store.clone();
        let taken: Taken = if store.inner.snapshots.layers_apart() {
            let (mut writer, end) = pipe();
            let unpacking = store.unpack_apart(end);
            let filled = store.fill_blob(&mut watched, Some(&mut writer));
            match &filled {
                Ok(_) => drop(writer.finish()),
                Err(_) => {
                    writer.fail(std::io::Error::other("the archive broke off"));
                }
            }
            let ingest = match filled {
                Ok(ingest) => ingest,
                Err(error) => {
                    if let Ok(unpacked) =
                        unpacking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    {
                        store.discard(&unpacked.key);
                    }
                    return Err(error);
                }
            };
            std::thread::spawn(move || {
                let unpacked = unpacking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                let size = ingest.offset();
                let blob = ingest.commit(None, None).inspect_err(|_| store.discard(&unpacked.key))?;
                Ok(Piece {
                    media_type: media_type(unpacked.compression).to_owned(),
                    diff_id: unpacked.diff_id(&blob),
                    bytes: unpacked.extracted.bytes,
                    unpacked: Some(unpacked),
                    blob,
                    size,
                })
            })
        } else {
            let ingest = store.fill_blob(&mut watched, None)?;
            std::thread::spawn(move || {
                let size = ingest.offset();
                let blob = ingest.commit(None, None)?;
                let decoder = Decoder::new(store.inner.content.open_blob(&blob)?)?;
                let media_type = media_type(decoder.compression()).to_owned();
                let diff_id = DiffId(digest_of(decoder)?);
                Ok(Piece { blob, size, media_type, diff_id, bytes: 0, unpacked: None })
            })
        };
        self.pending.push_back((name, taken));
        if self.pending.len() > PENDING_LIMIT {
            self.settle_oldest();
        }
        Ok(())
    }

    /// A document by its name, links followed.
    fn document(&self, name: &str) -> Result<&[u8]> {
        let name = self.followed(name)?;
        let missing = || Error::Archive(format!("{name} is missing"));
        self.documents.get(&name).map(Vec::as_slice).ok_or_else(missing)
    }

    fn followed(&self, name: &str) -> Result<String> {
        let mut name = clean(name);
        // Longer chains of links are a loop.
        for _ in 0..16 {
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => return Ok(name),
            }
        }
        Err(Error::Archive(format!("{name} is a link that leads nowhere")))
    }

    /// Puts one image together from its config and the files of its layers, lowest first.
    fn image(&mut self, config: &[u8], files: &[String], options: &CreateOptions) -> Result<ImageId> {
        let id = ImageId(Digest::sha256_of(config));
        let parsed = crate::store::parse_config(id.as_str(), config)?;
        if !matches!(parsed.os.as_str(), "" | "linux") {
            return Err(Error::OperatingSystem(parsed.os.clone()));
        }
        let wanted = parsed.diff_ids();
        if wanted.len() != files.len() {
            return Err(Error::LayerCount { expected: wanted.len(), found: files.len() });
        }
        let mut layers = Vec::new();
        let mut parent: Option<ChainId> = None;
        for (index, (expected, file)) in wanted.iter().zip(files).enumerate() {
            let layer = self.layer(index, file, expected, parent.as_ref())?;
            parent = Some(ChainId::extend(parent.as_ref(), &layer.diff_id));
            layers.push(layer);
        }
        self.store.create(config, layers, options)
    }

    fn layer(
        &mut self,
        index: usize,
        file: &str,
        expected: &DiffId,
        parent: Option<&ChainId>,
    ) -> Result<Layer> {
        let name = self.followed(file)?;
        if let Some(error) = self.refused.remove(&name) {
            return Err(error);
        }
        if !self.layers.contains_key(&name)
            && let Some(layer) = self.here_before(expected, parent)?
        {
            return Ok(layer);
        }
        let piece = self.layers.get_mut(&name).ok_or_else(|| Error::Archive(format!("{name} is missing")))?;
        if piece.diff_id != *expected {
            let (expected, found) = (expected.to_string(), piece.diff_id.to_string());
            return Err(Error::DiffId { index, expected, found });
        }
        let chain = ChainId::extend(parent, expected);
        self.lease.hold(&chain);
        let mut layer = Layer {
            diff_id: piece.diff_id.clone(),
            blob: piece.blob.clone(),
            media_type: piece.media_type.clone(),
            blob_size: piece.size,
            size: piece.bytes,
        };
        if let Ok(info) = self.store.inner.snapshots.stat(chain.as_ref()) {
            layer.size = self.store.inner.snapshots.usage(&info.name)?.bytes;
            return Ok(layer); // It is here already; what was unpacked is dropped with the archive.
        }
        match piece.unpacked.take() {
            Some(unpacked) => {
                let place = Place { parent, expected: Some(expected), index, apart: true };
                self.store.place(self.lease, unpacked, (layer.blob.clone(), layer.blob_size), place)
            }
            None => {
                self.store.unpack_layer(self.lease, parent, &layer, index)?;
                layer.size = self.store.inner.snapshots.usage(chain.as_ref())?.bytes;
                Ok(layer)
            }
        }
    }

    /// A layer that the archive leaves out because it is here, in its place.
    fn here_before(&self, expected: &DiffId, parent: Option<&ChainId>) -> Result<Option<Layer>> {
        let chain = ChainId::extend(parent, expected);
        self.lease.hold(&chain);
        match self.store.inner.snapshots.stat(chain.as_ref()) {
            Ok(_) => self.store.layer_of(expected),
            Err(_) => Ok(None),
        }
    }

    /// A layer so small that it was taken for a document becomes a layer after all.
    fn document_to_layer(&mut self, file: &str) -> Result<()> {
        let name = self.followed(file)?;
        let Some(bytes) = self.documents.get(&name).filter(|_| !self.layers.contains_key(&name)) else {
            return Ok(());
        };
        let blob = self.store.inner.content.put(bytes)?;
        let size = bytes.len() as u64;
        let unpacked = match self.store.inner.snapshots.layers_apart() {
            true => Some(self.store.unpack_stream(std::io::Cursor::new(bytes.clone()), None)?),
            false => None,
        };
        let decoder = Decoder::new(std::io::Cursor::new(bytes.clone()))?;
        let media_type = media_type(decoder.compression()).to_owned();
        let diff_id = DiffId(digest_of(decoder)?);
        let bytes = unpacked.as_ref().map_or(0, |unpacked| unpacked.extracted.bytes);
        self.layers.insert(name, Piece { blob, size, media_type, diff_id, bytes, unpacked });
        Ok(())
    }

    /// Refuses a layer whose blob is not the one its manifest names.
    fn check_blob(&self, file: &str, expected: &Digest) -> Result<()> {
        match self.layers.get(&self.followed(file)?) {
            Some(piece) if piece.blob != *expected && expected.algorithm() == "sha256" => {
                let (expected, found) = (expected.clone(), piece.blob.clone());
                Err(gantry_content::Error::DigestMismatch { expected, found }.into())
            }
            _ => Ok(()),
        }
    }

    fn name(&self, id: &ImageId, reference: &Reference) -> Result<Loaded> {
        let previous = self.store.tag_image(id, &reference.or_latest())?.previous;
        Ok(Loaded { id: id.clone(), reference: Some(reference.or_latest()), previous })
    }
}

impl Drop for Archive<'_> {
    /// What was unpacked and belongs to no image leaves nothing behind.
    fn drop(&mut self) {
        while self.settle_oldest() {}
        for piece in self.layers.values_mut() {
            if let Some(unpacked) = piece.unpacked.take() {
                self.store.discard(&unpacked.key);
            }
        }
    }
}

/// Tells how much is read through it.
struct Watched<'a, R> {
    inner: R,
    seen: &'a mut dyn FnMut(usize),
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.seen)(count);
        Ok(count)
    }
}

/// Whether a file of the archive is a layer by its name. Blobs of an OCI layout say nothing by theirs; documents among
/// them are small.
fn looks_like_layer(name: &str, size: u64) -> bool {
    /// A layer is at least one tar header and its end; no document of a build comes near this.
    const SMALLEST_BLOB_LAYER: u64 = 128 << 10;
    name.ends_with(".tar")
        || name.ends_with(".tar.gz")
        || name.starts_with("blobs/") && size >= SMALLEST_BLOB_LAYER
}

/// A file's name without `./`, leading slashes, doubled slashes and `..`.
fn clean(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// Twelve digits of the digest or id in a layer file's name.
fn short_name(name: &str) -> String {
    let hex = name.split('/').find(|part| part.len() >= 12 && part.bytes().all(|b| b.is_ascii_hexdigit()));
    hex.map_or_else(|| name.chars().take(12).collect(), |hex| hex[..12].to_owned())
}

fn digest_of(mut input: impl Read) -> Result<Digest> {
    let mut hasher = gantry_names::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}
