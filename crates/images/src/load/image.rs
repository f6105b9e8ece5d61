//! An image put together of what an archive brought.

use gantry_archive::Decoder;
use gantry_names::{ChainId, DiffId, Digest, ImageId, Reference};

use super::archive::{Archive, Piece};
use super::{Loaded, digest_of};
use crate::layer::{Place, media_type};
use crate::{CreateOptions, Error, Layer, Result};

impl Archive<'_> {
    /// Puts one image together from its config and the files of its layers, lowest first.
    pub(super) fn image(
        &mut self,
        config: &[u8],
        files: &[String],
        options: &CreateOptions,
    ) -> Result<ImageId> {
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
    pub(super) fn document_to_layer(&mut self, file: &str) -> Result<()> {
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
    pub(super) fn check_blob(&self, file: &str, expected: &Digest) -> Result<()> {
        match self.layers.get(&self.followed(file)?) {
            Some(piece) if piece.blob != *expected && expected.algorithm() == "sha256" => {
                let (expected, found) = (expected.clone(), piece.blob.clone());
                Err(gantry_content::Error::DigestMismatch { expected, found }.into())
            }
            _ => Ok(()),
        }
    }

    /// Gives an image its name in the archive.
    pub(super) fn name(&self, id: &ImageId, reference: &Reference) -> Result<Loaded> {
        let previous = self.store.tag_image(id, &reference.or_latest())?.previous;
        Ok(Loaded { id: id.clone(), reference: Some(reference.or_latest()), previous })
    }
}
