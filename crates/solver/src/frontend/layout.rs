//! `oci-layout://`: an image in a folder of the client, as a context.

use gantry_build::Built;
use gantry_buildkit::content::Store;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::session::Caller;
use gantry_images::Layer;
use gantry_names::{DiffId, Digest, Platform};
use serde::Deserialize;

use super::options::invalid;
use crate::{Inner, cache, story};

/// Documents are smaller.
const LIMIT: usize = 8 << 20;
/// An index may name an index; deeper is nonsense.
const DEPTH: usize = 4;

#[derive(Debug, Deserialize)]
struct Document {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<Platform>,
}

/// Takes an image in: `KEY[:TAG]@DIGEST`, where the key names the client's store.
pub(super) async fn load(
    inner: &Inner,
    caller: &Caller,
    layout: &str,
    platform: Option<Platform>,
) -> Result<Built, Status> {
    let (key, digest) = layout
        .rsplit_once('@')
        .ok_or_else(|| invalid(format!("the image layout {layout} is named without a digest")))?;
    let key = key.split(':').next().unwrap_or_default();
    let store = Store::new(caller.clone(), format!("oci:{key}"));
    let digest = Digest::parse(digest).map_err(|error| invalid(error.to_string()))?;
    let image = manifest(&store, digest, &platform.unwrap_or_else(Platform::host)).await?;
    let config = image.config.ok_or_else(|| invalid("the image layout names no image"))?;
    let document = store.whole(&config.digest, LIMIT).await?;
    // What comes in stays while the build runs.
    let lease = inner.builder.images.lease();
    let mut layers = Vec::new();
    for layer in image.layers {
        cache::bring(&inner.builder.images, &store, &layer.digest, layer.size).await?;
        layers.push(Layer {
            // The config says what it is: it is put there when the image is taken in.
            diff_id: DiffId(layer.digest.clone()),
            blob: layer.digest,
            media_type: layer.media_type,
            blob_size: layer.size,
            size: 0,
        });
    }
    let builder = inner.builder.clone();
    let adopted = tokio::task::spawn_blocking(move || builder.adopt(document, layers, lease)).await;
    let adopted = adopted.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    adopted.map_err(|error| story::refused(&error))
}

/// The manifest for a platform.
async fn manifest(store: &Store, mut digest: Digest, wanted: &Platform) -> Result<Document, Status> {
    for _ in 0..DEPTH {
        let bytes = store.whole(&digest, LIMIT).await?;
        let document: Document = serde_json::from_slice(&bytes)
            .map_err(|error| invalid(format!("{digest} is no manifest: {error}")))?;
        if document.manifests.is_empty() {
            return Ok(document);
        }
        let fits = |entry: &&Descriptor| entry.platform.as_ref().is_none_or(|found| found.matches(wanted));
        let chosen = document.manifests.iter().find(fits);
        let none = || invalid(format!("the image layout has no image for {wanted}"));
        digest = chosen.ok_or_else(none)?.digest.clone();
    }
    Err(invalid("the image layout's indexes name each other"))
}
