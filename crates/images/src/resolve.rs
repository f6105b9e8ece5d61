use gantry_names::{Digest, ImageId, Platform, Reference};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::catalog::Catalog;
use crate::store::{MAX_DOCUMENT, parse_config};
use crate::{CreateOptions, Error, Image, ImageStore, Layer, Result};

impl ImageStore {
    /// The image of this name: a tag, a digest, an id or the beginning of one, in Docker's order: a whole 64-digit id
    /// is an id; else a name (tag `latest` if none); else the beginning of an id.
    pub fn resolve(&self, name: &str) -> Result<ImageId> {
        resolve_in(&self.catalog(), name)
    }

    /// The image of this name, whole. With a platform, one that does not fit is refused with Docker's sentence.
    pub fn inspect(&self, name: &str, platform: Option<&Platform>) -> Result<Image> {
        let catalog = self.catalog();
        let image = self.image_in(&catalog, &resolve_in(&catalog, name)?)?;
        drop(catalog);
        if let Some(wanted) = platform {
            let found = image.config.platform();
            if !fits(&found, wanted) {
                if let Some(other) = self.sibling(&image, wanted)? {
                    return Ok(other);
                }
                return Err(Error::Platform {
                    name: Reference::parse(name).map_or_else(|_| name.to_owned(), |r| r.familiar()),
                    found: found.to_string(),
                    wanted: wanted.to_string(),
                });
            }
        }
        Ok(image)
    }

    /// The image of another platform that is kept under the same index.
    pub(crate) fn sibling(&self, image: &Image, wanted: &Platform) -> Result<Option<Image>> {
        let Some(index) = image.record.whole() else { return Ok(None) };
        let index: Index = self.document(index)?;
        let fitting = |entry: &&Entry| entry.platform.as_ref().is_some_and(|found| fits(found, wanted));
        let Some(entry) = index.manifests.iter().find(fitting) else { return Ok(None) };
        let manifest: Manifest = self.document(&entry.digest)?;
        let id = ImageId(manifest.config.digest.clone());
        if let Ok(known) = self.get(&id) {
            return Ok(Some(known));
        }
        // A prune took its record, and its blobs are here all the same.
        let config = self.inner.content.read(&id.0, MAX_DOCUMENT)?;
        let parsed = parse_config(id.as_str(), &config)?;
        let layers = manifest.layers.into_iter().zip(parsed.diff_ids()).map(|(layer, diff_id)| Layer {
            diff_id: diff_id.clone(),
            blob: layer.digest,
            media_type: layer.media_type,
            blob_size: layer.size,
            // Known when it is unpacked.
            size: 0,
        });
        let options = CreateOptions { manifest: Some(entry.digest.clone()), ..CreateOptions::default() };
        let id = self.create(&config, layers.collect(), &options)?;
        self.get(&id).map(Some)
    }

    fn document<T: DeserializeOwned>(&self, digest: &Digest) -> Result<T> {
        let bytes = self.inner.content.read(digest, MAX_DOCUMENT)?;
        Ok(serde_json::from_slice(&bytes).map_err(std::io::Error::other)?)
    }
}

/// An index, as far as it is looked into.
#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    digest: Digest,
    platform: Option<Platform>,
}

/// A manifest, as far as it is looked into.
#[derive(Debug, Deserialize)]
struct Manifest {
    config: Blob,
    layers: Vec<Blob>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
}

/// An image that names no variant fits every variant of its architecture.
fn fits(found: &Platform, wanted: &Platform) -> bool {
    found.matches(wanted)
        || (found.variant.is_none() && found.os == wanted.os && found.architecture == wanted.architecture)
}

pub(crate) fn resolve_in(catalog: &Catalog, name: &str) -> Result<ImageId> {
    let known = |id: &ImageId| catalog.record(id).is_some();
    if let Some(id) = whole_id(name) {
        return if known(&id) { Ok(id) } else { Err(Error::NotFound(id.to_string())) };
    }
    let reference = Reference::parse(name)?;
    if let Some(id) = catalog.named(&stored_form(&reference)).cloned().filter(known) {
        return Ok(id);
    }
    if let Some(id) = by_prefix(catalog, name)? {
        return Ok(id);
    }
    Err(Error::NotFound(reference.or_latest().familiar()))
}

/// How a reference is kept: by digest without its tag, else by tag. One with both is found by its digest.
pub(crate) fn stored_form(reference: &Reference) -> Reference {
    match reference.digest() {
        Some(digest) => reference.repository().with_digest(digest.clone()),
        None => reference.or_latest(),
    }
}

/// `sha256:<64 hex>` or `<64 hex>`.
pub(crate) fn whole_id(name: &str) -> Option<ImageId> {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    Digest::from_sha256_hex(hex).ok().map(ImageId)
}

/// The image whose id begins so, with or without `sha256:`.
pub(crate) fn by_prefix(catalog: &Catalog, name: &str) -> Result<Option<ImageId>> {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    if hex.is_empty() || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Ok(None);
    }
    let mut fitting = catalog.beginning_with(hex);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(Some(only.clone())),
        (Some(_), Some(_)) => Err(Error::Ambiguous(name.to_owned())),
        (None, _) => Ok(None),
    }
}
