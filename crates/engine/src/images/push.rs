//! `push`: an image's layers, its config and its manifest to a registry.

use std::collections::HashSet;
use std::sync::Arc;

use gantry_distribution::{Credentials, Event, Observer, Push, Pushed, RegistryError};
use gantry_images::{Image, ImageStore};
use gantry_names::{Digest, ImageId, Platform, Reference};
use tokio::sync::mpsc;

use super::blobs::Keeper;
use super::registries::{credentials, message};
use super::{Progress, blocking, depart};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// What to push.
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// A tag; without one every tag of the repository.
    pub reference: Reference,
    /// The platform that is meant; `None` takes what there is.
    pub platform: Option<Platform>,
    /// As whom: `X-Registry-Auth`, decoded.
    pub auth: Option<serde_json::Value>,
}

impl Engine {
    /// Sends images to a registry. Progress goes to the channel in Docker's words; when nobody listens any more the push
    /// ends.
    pub async fn image_push(&self, request: PushRequest, progress: mpsc::Sender<Progress>) -> Result<()> {
        tokio::select! {
            done = self.push_all(request, &progress) => done,
            () = progress.closed() => {
                tracing::info!("a push ends: its client has left");
                Ok(())
            }
        }
    }

    async fn push_all(&self, request: PushRequest, progress: &mpsc::Sender<Progress>) -> Result<()> {
        let PushRequest { reference, platform, auth } = request;
        let whole = platform.is_none();
        if reference.digest().is_some() {
            return Err(Error::Invalid("cannot push a digest reference".to_owned()));
        }
        let status = format!("The push refers to repository [{}]", reference.name());
        // A client that has left ends the push elsewhere.
        let _gone = progress.send(message(Event::status(status))).await;
        let (images, asked) = (self.inner.images.clone(), reference.clone());
        let chosen = blocking(move || {
            let mut chosen = choose(&images, &asked)?;
            // A platform that is not here is refused before anything is sent.
            for (reference, id) in chosen.iter_mut().filter(|_| platform.is_some()) {
                *id = images.inspect(&reference.familiar(), platform.as_ref())?.id;
            }
            Ok::<_, Error>(chosen)
        })
        .await?;
        let credentials = credentials(auth);
        for (reference, id) in chosen {
            self.push_one(&reference, id, whole, &credentials, progress).await?;
            self.image_event(&reference.familiar(), "push", &reference.familiar());
        }
        Ok(())
    }

    async fn push_one(
        &self,
        reference: &Reference,
        id: ImageId,
        whole: bool,
        credentials: &Credentials,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<()> {
        let images = self.inner.images.clone();
        let lease = images.lease();
        // The registry is asked before anything is packed: a refusal should come at once.
        let registries = self.registries();
        registries.greet(reference, credentials).await?;
        let (store, wanted) = (images.clone(), id.clone());
        let image = blocking(move || Ok::<_, Error>(store.get(&wanted)?)).await?;
        let told = progress.clone();
        let observer: Observer = Arc::new(move |event| tell(&told, event));
        let sources = |blob: &Digest| images.holders(reference.domain(), blob).unwrap_or_default();
        let mut push = Push {
            reference,
            credentials,
            blobs: Arc::new(Keeper::new(images.clone())),
            observer,
            sources: &sources,
            label: &|blob| label(&image, blob),
            sent: HashSet::new(),
        };
        push.sent = depart::layers(&images, &image, &registries, &push).await?;
        let (store, wanted) = (images.clone(), id.clone());
        let ((image, ours), _lease) =
            blocking(move || prepare(&store, &wanted).map(|ready| (ready, lease))).await?;
        let push = Push { label: &|blob| label(&image, blob), ..push };
        let pushed = match (image.record.whole(), &image.record.manifest) {
            // With its attestations and the other platforms, as it was built.
            (Some(index), _) if whole => registries.push(&push, index).await?,
            // Layers that were here before a pull are kept under other blobs than its manifest names. The registry it
            // came from has those; another gets ours.
            (_, Some(kept)) if *kept != ours => match registries.push(&push, kept).await {
                Err(RegistryError::Missing(_)) => registries.push(&push, &ours).await?,
                pushed => pushed?,
            },
            _ => registries.push(&push, &ours).await?,
        };
        self.pushed(reference, &id, &pushed, progress).await
    }

    async fn pushed(
        &self,
        reference: &Reference,
        id: &ImageId,
        pushed: &Pushed,
        progress: &mpsc::Sender<Progress>,
    ) -> Result<()> {
        let (images, id) = (self.inner.images.clone(), id.clone());
        let by_digest = reference.repository().with_digest(pushed.digest.clone());
        blocking(move || images.set_reference(&by_digest, &id)).await?;
        let tag = reference.tag().unwrap_or_default().to_owned();
        let status = format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size);
        let result = Event::Pushed { tag, digest: pushed.digest.clone(), size: pushed.size };
        for event in [Event::status(status), result] {
            let _gone = progress.send(message(event)).await;
        }
        Ok(())
    }
}

/// The tags that are meant, with their images.
fn choose(images: &ImageStore, asked: &Reference) -> Result<Vec<(Reference, ImageId)>> {
    let tags = images.tags_of(asked)?;
    let Some(tag) = asked.tag() else {
        return match tags.is_empty() {
            true => Err(Error::NotFound(format!(
                "An image does not exist locally with the tag: {}",
                asked.familiar_name()
            ))),
            false => Ok(tags),
        };
    };
    if tags.is_empty() {
        let name = asked.familiar_name();
        return Err(Error::NotFound(format!("An image does not exist locally with the tag: {name}")));
    }
    let found: Vec<_> = tags.into_iter().filter(|(reference, _)| reference.tag() == Some(tag)).collect();
    match found.is_empty() {
        true => Err(Error::NotFound(format!("tag does not exist: {}", asked.familiar()))),
        false => Ok(found),
    }
}

/// The image as it is kept, and its manifest.
fn prepare(images: &ImageStore, id: &ImageId) -> Result<(Image, Digest)> {
    let image = images.get(id)?;
    let config = images.config_bytes(id)?;
    let manifest = images.manifest_of(&image, config.len())?;
    match &image.record.manifest {
        // The one it came by stays, whatever it names.
        Some(_) => Ok((image, images.content().put(&manifest).map_err(gantry_images::Error::from)?)),
        None => {
            let digest = images.keep_manifest(&image, &manifest)?;
            Ok((images.get(id)?, digest))
        }
    }
}

/// Docker names a layer by its diff id.
fn label(image: &Image, blob: &Digest) -> Digest {
    let layer = image.record.layers.iter().find(|layer| layer.blob == *blob);
    layer.map_or_else(|| blob.clone(), |layer| layer.diff_id.0.clone())
}

/// Tells what happens to layers; the sentences about the whole are told once, by us.
fn tell(progress: &mpsc::Sender<Progress>, event: Event) {
    if matches!(event, Event::Layer { .. }) {
        // A client that reads slowly loses lines of progress, never the push its speed.
        let _full_or_gone = progress.try_send(message(event));
    }
}
