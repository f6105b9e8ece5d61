//! Carry: an image from one repository to another, be it of the same registry or of a different one.

use std::collections::HashSet;
use std::sync::Arc;

use gantry_names::{Digest, Reference};

use crate::auth::Credentials;
use crate::failure::RegistryError;
use crate::fetch::Observer;
use crate::manifest::{Descriptor, Document, Manifest};
use crate::pull::keep;
use crate::push::Push;
use crate::registry::Registry;
use crate::sink::Blobs;

/// What is to be carried, and how.
pub struct Carry<'a> {
    /// Where it is.
    pub from: &'a Reference,
    /// Where it goes: a tag, or by its digest.
    pub to: &'a Reference,
    /// As whom it is read.
    pub reading: &'a Credentials,
    /// As whom it is written.
    pub writing: &'a Credentials,
    /// Where blobs are kept that the other registry cannot take over by itself.
    pub blobs: Arc<dyn Blobs>,
}

impl Registry {
    /// Brings one manifest and the blobs it names to another repository. Blobs that are there stay, those of the same registry
    /// are taken over, the rest is fetched and sent.
    pub async fn carry(&self, carry: &Carry<'_>) -> Result<Manifest, RegistryError> {
        let manifest = self.manifest(carry.from, carry.reading).await?;
        keep(&carry.blobs, [&manifest, &manifest]).await?;
        let observer: Observer = Arc::new(|_| {});
        let same = carry.from.domain() == carry.to.domain();
        let source = carry.from.path().to_owned();
        let push = Push {
            reference: carry.to,
            credentials: carry.writing,
            blobs: Arc::clone(&carry.blobs),
            observer: Arc::clone(&observer),
            sources: &|_| if same { vec![source.clone()] } else { Vec::new() },
            label: &Digest::clone,
            sent: HashSet::new(),
        };
        loop {
            match self.push(&push, &manifest.digest).await {
                Ok(_) => return Ok(manifest),
                Err(RegistryError::Missing(digest)) => {
                    let blob = named(&manifest, &digest).ok_or(RegistryError::Missing(digest))?;
                    self.fetch_blob(carry.from, blob, carry.reading, &carry.blobs, &observer).await?;
                }
                Err(other) => return Err(other),
            }
        }
    }
}

fn named<'a>(manifest: &'a Manifest, digest: &Digest) -> Option<&'a Descriptor> {
    let Document::Image(image) = &manifest.document else { return None };
    std::iter::once(&image.config).chain(&image.layers).find(|blob| blob.digest == *digest)
}
