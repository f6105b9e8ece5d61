//! Layers that are packed while they are pushed.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;

use gantry_distribution::sink::{Blob, Source};
use gantry_distribution::{Event, Layer, Push, Registry, Step};
use gantry_images::{Departing, Image, ImageStore};
use gantry_names::Digest;
use tokio::sync::{Semaphore, mpsc};

use super::blocking;
use crate::error::Result;

/// Layers packed at once, each on all cores: while one is being synced the next is packed.
const PACKERS: usize = 2;

/// A packed layer on its way, as a push sees it.
struct Leaving(Departing);

impl Source for Leaving {
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.0.open(offset)))
    }

    fn length(&self) -> u64 {
        self.0.length()
    }

    fn whole(&self) -> io::Result<Blob> {
        self.0.whole().map(|(digest, size)| Blob { digest, size })
    }
}

/// If an image has layers that must be packed, sends all its layers, those while they are packed. Returns what the registry
/// has now.
pub(super) async fn layers(
    images: &ImageStore,
    image: &Image,
    registry: &Registry,
    push: &Push<'_>,
) -> Result<HashSet<Digest>> {
    let plain = images.to_pack(image);
    if plain.is_empty() {
        return Ok(HashSet::new());
    }
    let mut told = HashSet::new();
    for layer in image.record.layers.iter().filter(|layer| told.insert(&layer.blob)) {
        (push.observer)(Event::layer(&layer.diff_id.0, Step::Preparing));
    }
    let (to, coming) = mpsc::channel(1);
    let sent = async { Ok(registry.push_layers(push, coming).await?) };
    let (leaving, sent) = tokio::try_join!(bring(images, image, &plain, to), sent)?;
    // The manifest names what is kept.
    blocking(move || leaving.iter().try_for_each(|layer| layer.0.landed().map(drop))).await?;
    Ok(sent)
}

/// Hands an image's layers to its push: those that are packed already, then the others as soon as their packing begins.
async fn bring(
    images: &ImageStore,
    image: &Image,
    plain: &[gantry_images::Layer],
    to: mpsc::Sender<Layer>,
) -> Result<Vec<Arc<Leaving>>> {
    let packed =
        image.record.layers.iter().filter(|layer| plain.iter().all(|other| other.blob != layer.blob));
    let mut told = HashSet::new();
    for layer in packed.filter(|layer| told.insert(&layer.blob)) {
        let kept = Blob { digest: layer.blob.clone(), size: layer.blob_size };
        // A push that failed takes no more, and says why.
        let _failed = to.send(Layer::Kept(kept)).await;
    }
    let packers = Arc::new(Semaphore::new(PACKERS));
    let mut leaving = Vec::new();
    for layer in plain {
        let slot = Arc::clone(&packers).acquire_owned().await.expect("nobody closes the semaphore");
        let (images, of) = (images.clone(), layer.clone());
        let begun = blocking(move || Ok::<_, crate::error::Error>(images.departing(&of, slot)?)).await?;
        let begun = Arc::new(Leaving(begun));
        leaving.push(Arc::clone(&begun));
        if to.send(Layer::Made(begun, layer.diff_id.0.clone())).await.is_err() {
            break;
        }
    }
    Ok(leaving)
}
