//! Manifests and blobs that are no image of the store: what a build fetches from a registry and sends there.

use std::collections::HashSet;
use std::sync::Arc;

use gantry_distribution::manifest::Descriptor;
use gantry_distribution::sink::Blobs;
use gantry_distribution::{Observer, Push};
use gantry_names::{Digest, ImageId, Reference};

use super::blobs::Keeper;
use super::blocking;
use super::registries::credentials;
use crate::engine::Engine;
use crate::error::Result;

impl Engine {
    /// A manifest of a registry as it is: its bytes.
    pub async fn registry_manifest(
        &self,
        reference: &Reference,
        auth: Option<serde_json::Value>,
    ) -> Result<Vec<u8>> {
        Ok(self.registries().manifest(reference, &credentials(auth)).await?.bytes)
    }

    /// Brings a blob of a repository here. The caller's lease keeps it.
    pub async fn registry_blob(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        auth: Option<serde_json::Value>,
    ) -> Result<()> {
        if self.inner.images.content().touch(digest) {
            return Ok(());
        }
        let blob = Descriptor::of("", digest.clone(), size);
        let blobs: Arc<dyn Blobs> = Arc::new(Keeper::new(self.inner.images.clone()));
        let silent: Observer = Arc::new(|_| {});
        let registries = self.registries();
        Ok(registries.fetch_blob(reference, &blob, &credentials(auth), &blobs, &silent).await?)
    }

    /// Sends a manifest that is here, and everything it names. An image of the store is known by that digest from then on.
    pub async fn registry_push(
        &self,
        reference: &Reference,
        manifest: &Digest,
        image: Option<&ImageId>,
        auth: Option<serde_json::Value>,
    ) -> Result<()> {
        let images = self.inner.images.clone();
        let known = images.clone();
        let sources = |blob: &Digest| known.holders(reference.domain(), blob).unwrap_or_default();
        let push = Push {
            reference,
            credentials: &credentials(auth),
            blobs: Arc::new(Keeper::new(images.clone())),
            observer: Arc::new(|_| {}),
            sources: &sources,
            label: &Digest::clone,
            sent: HashSet::new(),
        };
        self.registries().push(&push, manifest).await?;
        if let Some(image) = image.cloned() {
            let by_digest = reference.repository().with_digest(manifest.clone());
            blocking(move || images.set_reference(&by_digest, &image)).await?;
        }
        self.image_event(&reference.familiar(), "push", &reference.familiar());
        Ok(())
    }
}
