use std::io::{Read, Write};

use gantry_archive::{Compression, Decoder, PackedWriter, Packing};

use crate::catalog::Change;
use crate::layer::media_type;
use crate::{Image, ImageStore, Layer, Result};

/// Gzip's level for layers that leave: two thirds of the time of its usual level, for a few per cent more bytes (a Debian's files:
/// 0.359 of their size in place of 0.349; the next lower level 0.373, the lowest 0.453).
pub const LEVEL: u32 = 3;

/// Bytes read at once.
pub(crate) const PIECE: usize = 256 << 10;

impl ImageStore {
    /// The layers of an image that must be packed before it can travel: those that are kept as plain tars, each once. None of an
    /// image that a registry knows by its manifest: its digest must not change.
    pub fn to_pack(&self, image: &Image) -> Vec<Layer> {
        let mut plain: Vec<Layer> = Vec::new();
        if image.names.iter().any(|name| name.digest().is_some()) {
            return plain;
        }
        for layer in &image.record.layers {
            let known = plain.iter().any(|known| known.blob == layer.blob);
            if layer.media_type == media_type(Compression::None) && !known {
                plain.push(layer.clone());
            }
        }
        plain
    }

    /// The same layer, its blob packed anew. One that is packed so already stays unless `force`; so does one whose blob is
    /// compressed in another way. The caller's lease keeps the new blob until something names it.
    pub fn pack_layer(&self, layer: &Layer, packing: Option<Packing>, force: bool) -> Result<Layer> {
        let is = |compression| layer.media_type == media_type(compression);
        let plain = is(Compression::None);
        let target = match packing {
            None => Compression::None,
            Some(Packing::Gzip(_)) => Compression::Gzip,
            Some(Packing::Zstd(_)) => Compression::Zstd,
        };
        let stays = !plain || is(target);
        if (stays && !force) || (plain && packing.is_none()) {
            return Ok(layer.clone());
        }
        let mut bytes = Decoder::new(self.inner.content.open_blob(&layer.blob)?)?;
        let mut ingest = self.inner.content.ingest_nameless()?;
        match packing {
            None => copy(&mut bytes, &mut ingest)?,
            Some(packing) => {
                let mut out = PackedWriter::new(ingest, packing);
                copy(&mut bytes, &mut out)?;
                ingest = out.finish()?;
            }
        }
        let blob_size = ingest.offset();
        let blob = ingest.commit(None, None)?;
        Ok(Layer { blob, blob_size, media_type: media_type(target).to_owned(), ..layer.clone() })
    }

    /// Puts the packed blob in the plain one's place in every image that no registry knows.
    pub(crate) fn replace_layer(&self, plain: &Layer, packed: &Layer) -> Result<()> {
        self.change(|catalog| {
            let mut changes = Vec::new();
            for (id, record) in catalog.records() {
                let known = || catalog.names(id).iter().any(|name| name.digest().is_some());
                if !record.layers.iter().any(|layer| layer.blob == plain.blob) || known() {
                    continue;
                }
                let mut record = record.clone();
                for layer in record.layers.iter_mut().filter(|layer| layer.blob == plain.blob) {
                    (layer.blob, layer.blob_size) = (packed.blob.clone(), packed.blob_size);
                    layer.media_type.clone_from(&packed.media_type);
                }
                // They name the plain layer.
                (record.manifest, record.index) = (None, None);
                record.companions.clear();
                changes.push(Change::Record(id.clone(), record));
            }
            Ok(((), changes))
        })
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(()),
            count => to.write_all(&piece[..count])?,
        }
    }
}
