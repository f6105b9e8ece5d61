//! An OCI image layout of any documents: indexes, attestations, several platforms.

use std::collections::BTreeSet;
use std::io::Write;

use gantry_archive::{Entry, Writer};
use gantry_names::{Digest, ImageId};
use serde_json::{Value, json};

use crate::save::{document, folder, path};
use crate::{ImageStore, Layer, Result};

/// What an image layout is to hold.
#[derive(Debug, Clone, Default)]
pub struct LayoutParts {
    /// Layers, whose blobs are here.
    pub layers: Vec<Layer>,
    /// Configs, manifests, indexes: each becomes a blob.
    pub documents: Vec<Vec<u8>>,
    /// The entries of `index.json`.
    pub entries: Vec<Value>,
}

impl ImageStore {
    /// Writes an OCI image layout as a tar stream. Source: OCI image spec, image-layout.md.
    pub fn write_layout(&self, parts: &LayoutParts, out: &mut dyn Write) -> Result<()> {
        let mut archive = Writer::new(out);
        let mut written: BTreeSet<Digest> = BTreeSet::new();
        folder(&mut archive, "blobs")?;
        folder(&mut archive, "blobs/sha256")?;
        let nameless = ImageId(Digest::sha256_of(b""));
        for layer in &parts.layers {
            if written.insert(layer.blob.clone()) {
                self.write_blob(&mut archive, &nameless, &layer.blob)?;
            }
        }
        for bytes in &parts.documents {
            let digest = Digest::sha256_of(bytes);
            if written.insert(digest.clone()) {
                archive.append_bytes(&Entry::file(path(&digest), bytes.len() as u64), bytes)?;
            }
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": parts.entries,
        });
        document(&mut archive, "index.json", &index)?;
        document(&mut archive, "oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }))?;
        archive.finish()?;
        Ok(())
    }
}
