//! An archive as it is read, front to back: documents stay in memory, layers go to the disk.

use std::collections::{HashMap, VecDeque};
use std::io::Read;

use gantry_archive::{Compression, Decoder, Kind, Reader};
use gantry_names::{DiffId, Digest};

use super::{LoadEvent, digest_of};
use crate::layer::{Unpacked, media_type};
use crate::store::MAX_DOCUMENT;
use crate::stream::{pipe, read_ahead};
use crate::{Error, ImageStore, Lease, Result};

/// Most files of any kind that an archive may bring, and most bytes of those that stay in memory: more is no archive of images.
const FILES_LIMIT: usize = 50_000;
const DOCUMENTS_BYTES: usize = 64 << 20;

/// A layer of the archive that is in the content store.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) blob: Digest,
    pub(super) size: u64,
    pub(super) media_type: String,
    pub(super) diff_id: DiffId,
    pub(super) bytes: u64,
    /// Its files, unpacked apart; taken by the first image that has it.
    pub(super) unpacked: Option<Unpacked>,
}

/// What was read of an archive.
pub(crate) struct Archive<'a> {
    pub(super) store: &'a ImageStore,
    pub(super) lease: &'a Lease,
    /// Small files by name.
    pub(super) documents: HashMap<String, Vec<u8>>,
    /// Layers by the name of their file.
    pub(super) layers: HashMap<String, Piece>,
    /// Links by name: to another file of the archive.
    pub(super) links: HashMap<String, String>,
    /// Files that looked like layers and could not be unpacked. They matter only to an image that needs them: an
    /// attestation is as large as a layer and none.
    pub(super) refused: HashMap<String, Error>,
    /// Layers whose last bytes are on their way to the disk, in the order they came.
    pub(super) pending: VecDeque<(String, Taken)>,
}

type Taken = std::thread::JoinHandle<Result<Piece>>;

/// Most layers whose last bytes may be on their way to the disk at once.
const PENDING_LIMIT: usize = 4;

impl Archive<'_> {
    pub(super) fn read(
        &mut self,
        input: impl Read + Send + 'static,
        told: &mut dyn FnMut(LoadEvent),
    ) -> Result<()> {
        // Undoing the archive's own compression has a thread to itself.
        let decoder = Decoder::new(input)?;
        let mut reader: Reader<Box<dyn Read>> = match decoder.compression() {
            Compression::None => Reader::new(Box::new(decoder)),
            _ => Reader::new(Box::new(read_ahead(decoder))),
        };
        let (mut files, mut kept) = (0, 0);
        while let Some(entry) = reader.next_entry()? {
            files += 1;
            if files > FILES_LIMIT {
                return Err(Error::Archive(format!("it has more than {FILES_LIMIT} files")));
            }
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
                    if kept > DOCUMENTS_BYTES {
                        return Err(Error::Archive("its documents are too large".into()));
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
        let layer = self.store.catalog().layer(&digest)?.clone();
        if !self.store.inner.content.touch(&digest) {
            return None;
        }
        Some(Piece {
            blob: digest,
            size: layer.blob_size,
            media_type: layer.media_type,
            diff_id: layer.diff_id,
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
                let unpacked = unpacking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                let size = ingest.offset();
                // What is no layer may be an attestation that goes with an image: its blob is kept all the same.
                let (blob, unpacked) = match (ingest.commit(None, None), unpacked) {
                    (Ok(blob), Ok(unpacked)) => (blob, unpacked),
                    (Err(error), Ok(unpacked)) => {
                        store.discard(&unpacked.key);
                        return Err(error.into());
                    }
                    (_, Err(error)) => return Err(error),
                };
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
    pub(super) fn document(&self, name: &str) -> Result<&[u8]> {
        let name = self.followed(name)?;
        let missing = || Error::Archive(format!("{name} is missing"));
        self.documents.get(&name).map(Vec::as_slice).ok_or_else(missing)
    }

    pub(super) fn followed(&self, name: &str) -> Result<String> {
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
