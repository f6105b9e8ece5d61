//! `pull`: the images inside the program first, then a registry.

use std::sync::Arc;

use gantry_distribution::sink::Blobs;
use gantry_distribution::{Credentials, Event, Observer, Pull, Pulled, Registry, Settings, Step};
use gantry_images::{CreateOptions, ImageConfig, ImageStore, Layer, Lease};
use gantry_names::{ImageId, Platform, Reference};
use tokio::sync::mpsc;

use super::blobs::Keeper;
use super::{Progress, blocking};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The largest config document that is read.
const CONFIG_LIMIT: u64 = 8 << 20;

impl Engine {
    /// Brings an image in. Progress goes to the channel in Docker's words.
    pub async fn image_pull(
        &self,
        reference: Reference,
        platform: Option<Platform>,
        auth: Option<serde_json::Value>,
        progress: mpsc::Sender<Progress>,
    ) -> Result<()> {
        let asked = reference.or_latest();
        let before = self.inner.images.resolve(&asked.familiar()).ok();
        let (id, digest) = match gantry_embedded::archive_of(&asked) {
            Some(archive) => {
                let tag = asked.tag().unwrap_or("latest").to_owned();
                say(&progress, format!("Pulling from {}", asked.path()), &tag).await;
                let id = self.load_bytes(archive, &asked).await?;
                let digest = id.to_string();
                (id, digest)
            }
            None => self.pull_from_registry(&asked, platform, credentials(auth), &progress).await?,
        };
        say(&progress, format!("Digest: {digest}"), "").await;
        let known = before.is_some_and(|before| before == id);
        let status = if known { "Image is up to date for" } else { "Downloaded newer image for" };
        say(&progress, format!("Status: {status} {}", asked.familiar()), "").await;
        self.image_event(&asked.familiar(), "pull", &asked.familiar());
        Ok(())
    }

    /// One client for all pulls: two that want a blob fetch it once.
    fn registries(&self) -> &Registry {
        self.inner.registries.get_or_init(|| {
            let facts = &self.config().facts;
            Registry::new(Settings {
                mirrors: facts.mirrors.clone(),
                insecure: facts.insecure_registries.clone(),
                ..Settings::default()
            })
        })
    }

    async fn pull_from_registry(
        &self,
        asked: &Reference,
        platform: Option<Platform>,
        credentials: Credentials,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<(ImageId, String)> {
        let images = self.inner.images.clone();
        let lease = images.lease();
        let blobs: Arc<dyn Blobs> = Arc::new(Keeper(images.content().clone()));
        let told = progress.clone();
        let observer: Observer = Arc::new(move |event| {
            // A client that reads slowly loses lines of progress, never the pull its speed.
            let _full_or_gone = told.try_send(message(event));
        });
        let pull = Pull {
            reference: asked,
            credentials: &credentials,
            platform: platform.as_ref(),
            blobs,
            observer: Arc::clone(&observer),
            unpacked: &|place, image| is_here(&images, place, image),
            arrived: &|_, _| {},
        };
        let pulled = self.registries().pull(&pull).await?;
        let (asked, digest) = (asked.clone(), pulled.top.digest.to_string());
        let id = blocking(move || record(&images, &lease, &pulled, &asked, &observer)).await?;
        Ok((id, digest))
    }
}

/// Whether a layer is unpacked in its place and its blob is kept as well, so that nothing of it has to travel.
fn is_here(images: &ImageStore, place: usize, image: &gantry_distribution::manifest::Image) -> bool {
    let config = images.content().read(&image.config.digest, CONFIG_LIMIT).ok();
    let config = config.and_then(|bytes| serde_json::from_slice::<ImageConfig>(&bytes).ok());
    let chain = config.and_then(|config| gantry_names::ChainId::of(config.diff_ids().get(..=place)?));
    let unpacked = chain.is_some_and(|chain| images.snapshots().stat(chain.as_str()).is_ok());
    unpacked && image.layers.get(place).is_some_and(|layer| images.content().contains(&layer.digest))
}

/// Unpacks what was pulled and gives it its names.
fn record(
    images: &ImageStore,
    lease: &Lease,
    pulled: &Pulled,
    asked: &Reference,
    observer: &Observer,
) -> Result<ImageId> {
    let config = images
        .content()
        .read(&pulled.image.config.digest, CONFIG_LIMIT)
        .map_err(gantry_images::Error::from)?;
    let parsed: ImageConfig = serde_json::from_slice(&config)
        .map_err(|error| Error::Invalid(format!("the image's config cannot be read: {error}")))?;
    let diff_ids = parsed.diff_ids();
    if diff_ids.len() != pulled.image.layers.len() {
        let (expected, found) = (diff_ids.len(), pulled.image.layers.len());
        return Err(gantry_images::Error::LayerCount { expected, found }.into());
    }
    let (mut layers, mut parent) = (Vec::new(), None);
    for (index, (diff_id, blob)) in diff_ids.iter().zip(&pulled.image.layers).enumerate() {
        let mut layer = Layer {
            diff_id: diff_id.clone(),
            blob: blob.digest.clone(),
            media_type: blob.media_type.clone(),
            blob_size: blob.size,
            size: 0,
        };
        let id = blob.digest.short().to_owned();
        observer(Event::Layer {
            id: id.clone(),
            step: Step::Extracting { current: blob.size, total: blob.size },
        });
        images.unpack_layer(lease, parent.as_ref(), &layer, index)?;
        let chain = gantry_names::ChainId::extend(parent.as_ref(), diff_id);
        layer.size = images.snapshots().usage(chain.as_str()).map_err(gantry_images::Error::from)?.bytes;
        observer(Event::Layer { id, step: Step::PullComplete });
        parent = Some(chain);
        layers.push(layer);
    }
    let manifest = images.content().put(&pulled.manifest.bytes).map_err(gantry_images::Error::from)?;
    let top = images.content().put(&pulled.top.bytes).map_err(gantry_images::Error::from)?;
    let index = (top != manifest).then(|| top.clone());
    let options = CreateOptions { manifest: Some(manifest), index, ..CreateOptions::default() };
    let id = images.create(&config, layers, &options)?;
    if asked.tag().is_some() && asked.digest().is_none() {
        images.set_reference(asked, &id)?;
    }
    images.set_reference(&asked.repository().with_digest(top), &id)?;
    Ok(id)
}

async fn say(progress: &mpsc::Sender<Progress>, status: String, id: &str) {
    let message = Progress { status, id: id.to_owned(), ..Progress::default() };
    // A client that has left does not end the pull.
    let _gone = progress.send(message).await;
}

/// An event in Docker's words.
fn message(event: Event) -> Progress {
    let json = event.to_json();
    let text = |key: &str| json.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let number = |key: &str| {
        json.get("progressDetail")
            .and_then(|detail| detail.get(key))
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
    };
    Progress {
        status: text("status"),
        id: text("id"),
        current: number("current"),
        total: number("total"),
        ..Progress::default()
    }
}

/// `X-Registry-Auth`, as clients send it.
fn credentials(auth: Option<serde_json::Value>) -> Credentials {
    let auth = auth.unwrap_or_default();
    let text = |key: &str| auth.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Credentials {
        username: text("username"),
        password: text("password"),
        identity_token: text("identitytoken"),
        registry_token: text("registrytoken"),
    }
}
