use gantry_names::{Digest, ImageId, Platform, Reference};

use crate::store::Catalog;
use crate::{Error, Image, ImageStore, Result};

impl ImageStore {
    /// The image of this name: a tag, a digest, an id or the beginning of one, in Docker's order: a whole 64-digit id
    /// is an id; else a name (tag `latest` if none); else the beginning of an id.
    pub fn resolve(&self, name: &str) -> Result<ImageId> {
        resolve_in(&self.catalog()?, name)
    }

    /// The image of this name, whole. With a platform, one that does not fit is refused with Docker's sentence.
    pub fn inspect(&self, name: &str, platform: Option<&Platform>) -> Result<Image> {
        let catalog = self.catalog()?;
        let image = self.image_in(&catalog, &resolve_in(&catalog, name)?)?;
        if let Some(wanted) = platform {
            let found = image.config.platform();
            if !fits(&found, wanted) {
                return Err(Error::Platform {
                    name: Reference::parse(name).map_or_else(|_| name.to_owned(), |r| r.familiar()),
                    found: found.to_string(),
                    wanted: wanted.to_string(),
                });
            }
        }
        Ok(image)
    }
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
    if let Some(id) = lookup(catalog, &reference).filter(known) {
        return Ok(id);
    }
    if let Some(id) = by_prefix(catalog, name)? {
        return Ok(id);
    }
    Err(Error::NotFound(reference.or_latest().familiar()))
}

/// The image a reference names; a reference with tag and digest is found by its digest.
pub(crate) fn lookup(catalog: &Catalog, reference: &Reference) -> Option<ImageId> {
    let wanted = stored_form(reference);
    catalog.references.iter().find(|(known, _)| *known == wanted).map(|(_, id)| id.clone())
}

/// How a reference is kept: by digest without its tag, else by tag.
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
    let mut fitting = catalog.records.iter().map(|(id, _)| id).filter(|id| id.hex().starts_with(hex));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(Some(only.clone())),
        (Some(_), Some(_)) => Err(Error::Ambiguous(name.to_owned())),
        (None, _) => Ok(None),
    }
}
