//! `pull`: the images inside the program first, then a registry.

use std::sync::Arc;

use gantry_distribution::manifest::Image;
use gantry_distribution::sink::Blobs;
use gantry_distribution::{Credentials, Event, Observer, Pull, Pulled, Step};
use gantry_images::{CreateOptions, ImageConfig, ImageStore, Layer, Lease};
use gantry_names::{ChainId, DiffId, ImageId, Platform, Reference};
use tokio::sync::mpsc;

use super::blobs::Keeper;
use super::registries::{credentials, message};
use super::{Progress, blocking};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The largest config document that is read.
const CONFIG_LIMIT: u64 = 8 << 20;

/// What to pull.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// A tag or a digest; `latest` if it has neither.
    pub reference: Reference,
    /// Every tag of the repository instead.
    pub all_tags: bool,
    /// `None` is the host's.
    pub platform: Option<Platform>,
    /// As whom: `X-Registry-Auth`, decoded.
    pub auth: Option<serde_json::Value>,
}

impl Engine {
    /// Brings an image in. Progress goes to the channel in Docker's words; when nobody listens any more the pull ends, and
    /// what it brought stays for the next one.
    pub async fn image_pull(&self, request: PullRequest, progress: mpsc::Sender<Progress>) -> Result<()> {
        tokio::select! {
            done = self.pull_all(request, &progress) => done,
            () = progress.closed() => {
                tracing::info!("a pull ends: its client has left");
                Ok(())
            }
        }
    }

    async fn pull_all(&self, request: PullRequest, progress: &mpsc::Sender<Progress>) -> Result<()> {
        let PullRequest { reference, all_tags, platform, auth } = request;
        let credentials = credentials(auth);
        let mut newer = false;
        if all_tags {
            for tag in self.registries().tags(&reference, &credentials).await? {
                let one = reference.with_tag(&tag).map_err(|error| Error::Invalid(error.to_string()))?;
                newer |= self.pull_one(&one, platform.as_ref(), &credentials, progress).await?;
            }
        } else {
            let one = reference.or_latest();
            newer = self.pull_one(&one, platform.as_ref(), &credentials, progress).await?;
        }
        let shown = if all_tags { reference.familiar_name() } else { reference.or_latest().familiar() };
        let status = if newer { "Downloaded newer image for" } else { "Image is up to date for" };
        say(progress, format!("Status: {status} {shown}"), "").await;
        // What has no choice of platforms comes as it is, and is told.
        let (images, name) = (self.inner.images.clone(), shown);
        let fits = blocking(move || Ok::<_, Error>(images.inspect(&name, platform.as_ref()))).await?;
        if let Err(other @ gantry_images::Error::Platform { .. }) = fits {
            say(progress, format!("WARNING: {other}"), "").await;
        }
        Ok(())
    }

    /// Whether something came that was not here.
    async fn pull_one(
        &self,
        asked: &Reference,
        platform: Option<&Platform>,
        credentials: &Credentials,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<bool> {
        let before = self.inner.images.resolve(&asked.familiar()).ok();
        let named = asked.clone();
        let embedded = blocking(move || {
            gantry_embedded::archive_of(&named).map_err(Error::io("the image inside the program"))
        })
        .await?;
        let (id, digest) = match embedded {
            Some(archive) => {
                let tag = asked.tag().unwrap_or("latest").to_owned();
                say(progress, format!("Pulling from {}", asked.path()), &tag).await;
                let id = self.load_as(archive, asked).await?;
                let digest = id.to_string();
                (id, digest)
            }
            None => self.pull_from_registry(asked, platform, credentials, progress).await?,
        };
        say(progress, format!("Digest: {digest}"), "").await;
        self.image_event(&asked.familiar(), "pull", &asked.familiar());
        Ok(before.is_none_or(|before| before != id))
    }

    async fn pull_from_registry(
        &self,
        asked: &Reference,
        platform: Option<&Platform>,
        credentials: &Credentials,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<(ImageId, String)> {
        let images = self.inner.images.clone();
        let lease = images.lease();
        let keeper = Arc::new(Keeper::new(images.clone()));
        let told = progress.clone();
        let observer: Observer = Arc::new(move |event| {
            // A client that reads slowly loses lines of progress, never the pull its speed.
            let _full_or_gone = told.try_send(message(event));
        });
        let pull = Pull {
            reference: asked,
            credentials,
            platform,
            blobs: Arc::clone(&keeper) as Arc<dyn Blobs>,
            observer: Arc::clone(&observer),
            unpacked: &|place, image| is_here(&images, place, image),
            arrived: &|_, _| {},
        };
        let pulled = self.registries().pull(&pull).await?;
        let (asked, digest) = (asked.clone(), pulled.top.digest.to_string());
        let arrival = Arrival { images, lease, keeper, pulled, observer };
        let id = blocking(move || arrival.record(&asked)).await?;
        Ok((id, digest))
    }
}

/// Whether a layer is unpacked in its place and its blob is kept, in this form or another, so that nothing has to travel.
fn is_here(images: &ImageStore, place: usize, image: &Image) -> bool {
    let config = images.content().read(&image.config.digest, CONFIG_LIMIT).ok();
    let Some(config) = config.and_then(|bytes| serde_json::from_slice::<ImageConfig>(&bytes).ok()) else {
        return false;
    };
    let diff_ids = config.diff_ids();
    let chain = diff_ids.get(..=place).and_then(ChainId::of);
    let unpacked = chain.is_some_and(|chain| images.snapshots().stat(chain.as_str()).is_ok());
    let kept = |digest| images.content().contains(digest);
    unpacked
        && image.layers.get(place).is_some_and(|layer| {
            kept(&layer.digest)
                || diff_ids.get(place).is_some_and(|id| matches!(images.layer_of(id), Ok(Some(_))))
        })
}

/// An image whose bytes are here.
struct Arrival {
    images: ImageStore,
    lease: Lease,
    keeper: Arc<Keeper>,
    pulled: Pulled,
    observer: Observer,
}

impl Arrival {
    /// Puts its layers in their places and gives it its names.
    fn record(&self, asked: &Reference) -> Result<ImageId> {
        let (images, pulled) = (&self.images, &self.pulled);
        let content = images.content();
        let config =
            content.read(&pulled.image.config.digest, CONFIG_LIMIT).map_err(gantry_images::Error::from)?;
        let parsed = self.image_config(&config)?;
        let diff_ids = parsed.diff_ids();
        if diff_ids.len() != pulled.image.layers.len() {
            let (expected, found) = (diff_ids.len(), pulled.image.layers.len());
            return Err(gantry_images::Error::LayerCount { expected, found }.into());
        }
        let (mut layers, mut parent) = (Vec::new(), None);
        for (place, diff_id) in diff_ids.iter().enumerate() {
            layers.push(self.layer(place, diff_id, parent.as_ref())?);
            parent = Some(ChainId::extend(parent.as_ref(), diff_id));
        }
        let manifest = content.put(&pulled.manifest.bytes).map_err(gantry_images::Error::from)?;
        let top = content.put(&pulled.top.bytes).map_err(gantry_images::Error::from)?;
        let index = (top != manifest).then(|| top.clone());
        let by_tag = (asked.tag().is_some() && asked.digest().is_none()).then(|| asked.clone());
        let by_digest = asked.repository().with_digest(pulled.top.digest.clone());
        let names = by_tag.into_iter().chain([by_digest]).collect();
        let options = CreateOptions { manifest: Some(manifest), index, names, ..CreateOptions::default() };
        Ok(images.create(&config, layers, &options)?)
    }

    /// The config, if it is one of an image that can be run.
    fn image_config(&self, bytes: &[u8]) -> Result<ImageConfig> {
        let kind = &self.pulled.image.config.media_type;
        let config: ImageConfig = serde_json::from_slice(bytes).unwrap_or_default();
        if config.rootfs.is_none() {
            // Helm charts, signatures and the like are stored in registries as well.
            return Err(Error::Invalid(format!(
                "encountered an artifact that is no image: its config is {kind}"
            )));
        }
        Ok(config)
    }

    fn layer(&self, place: usize, diff_id: &DiffId, parent: Option<&ChainId>) -> Result<Layer> {
        let (images, blob) = (&self.images, &self.pulled.image.layers[place]);
        let known = self.pulled.known.get(place) == Some(&true);
        let tell = |step| (self.observer)(Event::layer(&blob.digest, step));
        let mut layer = Layer {
            diff_id: diff_id.clone(),
            blob: blob.digest.clone(),
            media_type: blob.media_type.clone(),
            blob_size: blob.size,
            size: 0,
        };
        if known && !images.content().touch(&blob.digest) {
            // It came by another way, under another blob.
            layer = images.layer_of(diff_id)?.unwrap_or(layer);
        }
        if !known {
            tell(Step::Extracting { current: blob.size, total: blob.size });
        }
        if let Some(arrived) = self.keeper.take(&blob.digest) {
            images.place_arrived(&self.lease, arrived, parent, diff_id, place)?;
        }
        images.unpack_layer(&self.lease, parent, &layer, place)?;
        let chain = ChainId::extend(parent, diff_id);
        layer.size = images.snapshots().usage(chain.as_str()).map_err(gantry_images::Error::from)?.bytes;
        if !known {
            tell(Step::PullComplete);
        }
        Ok(layer)
    }
}

async fn say(progress: &mpsc::Sender<Progress>, status: String, id: &str) {
    let message = Progress { status, id: id.to_owned(), ..Progress::default() };
    // A client that has left ends the pull elsewhere.
    let _gone = progress.send(message).await;
}
