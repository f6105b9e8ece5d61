//! `--cache-from`: steps that a registry or a folder of the client knows. Their layers come when they are needed.

use std::io::Write;
use std::sync::Arc;

use gantry_build::request::Caller;
use gantry_build::shared::{Bring, Import, Shared};
use gantry_build::step::{Refusal, Task};
use gantry_buildkit::content::Store;
use gantry_buildkit::grpc::{Code, Status};
use gantry_errdefs::Class;
use gantry_images::{ImageStore, Layer};
use gantry_names::{Digest, Platform, Reference};
use serde::Deserialize;

use super::document::Document;
use super::{CONFIG, CONFIG_LIMIT, MANIFEST_LIMIT, store_of};
use crate::export::{auth_of, invalid};
use crate::frontend::Wish;
use crate::job::Job;
use crate::story::{refusal, refused};
use crate::{Host, Inner};

/// Reads every cache that was named. One that cannot be read is told, and is no reason for a build to fail.
pub(crate) async fn import(
    inner: &Inner,
    job: &Job,
    wishes: &[Wish],
    caller: &Arc<dyn Caller>,
) -> Vec<Import> {
    let mut imports = Vec::new();
    for wish in wishes {
        let work = job.work(&format!("importing cache manifest from {}", wish.name()));
        let read = one(inner, job, wish, caller).await;
        if let Ok(import) = work.ended(read) {
            imports.push(import);
        }
    }
    imports
}

async fn one(inner: &Inner, job: &Job, wish: &Wish, caller: &Arc<dyn Caller>) -> Result<Import, Status> {
    let images = inner.builder.images.clone();
    match wish {
        Wish::Registry(name) => {
            let auth = auth_of(&**caller, name).await?;
            let source = Registry { images, host: Arc::clone(&inner.host), name: name.clone(), auth };
            let bytes = source.manifest(name).await?;
            let steps = source.steps(&bytes).await?;
            Ok(Import { steps, from: Arc::new(source) })
        }
        Wish::Local { folder, digest } => {
            let store = Store::new(inner.sessions.get(&job.session).await?, store_of(folder));
            let bytes = store.whole(digest, MANIFEST_LIMIT).await?;
            let manifest = Manifest::read(&bytes)?;
            let config = manifest.cache().ok_or_else(|| invalid(format!("{digest} is no build cache")))?;
            let steps = document(&store.whole(&config.digest, CONFIG_LIMIT).await?)?;
            Ok(Import { steps, from: Arc::new(Folder { images, store }) })
        }
    }
}

fn document(bytes: &[u8]) -> Result<Vec<Shared>, Status> {
    let read: Document = serde_json::from_slice(bytes)
        .map_err(|error| invalid(format!("the cache's config cannot be read: {error}")))?;
    Ok(read.steps())
}

/// Of a manifest or an index what tells a cache.
#[derive(Debug, Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<OnPlatform>,
}

#[derive(Debug, Clone, Deserialize)]
struct OnPlatform {
    os: String,
    architecture: String,
}

impl Manifest {
    fn read(bytes: &[u8]) -> Result<Manifest, Status> {
        serde_json::from_slice(bytes)
            .map_err(|error| invalid(format!("the cache's manifest cannot be read: {error}")))
    }

    /// The config of a cache: the manifest's own, or one beside the layers, as BuildKit once wrote it.
    fn cache(&self) -> Option<&Descriptor> {
        self.config.iter().chain(&self.manifests).find(|entry| entry.media_type == CONFIG)
    }
}

/// A repository.
struct Registry {
    images: ImageStore,
    host: Arc<dyn Host>,
    name: Reference,
    auth: Option<serde_json::Value>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Registry {
    async fn manifest(&self, name: &Reference) -> Result<Vec<u8>, Status> {
        self.host.manifest(name.clone(), self.auth.clone()).await.map_err(refusal)
    }

    async fn blob(&self, blob: &Descriptor) -> Result<Vec<u8>, Status> {
        if blob.size > CONFIG_LIMIT as u64 {
            return Err(Status::new(Code::OutOfRange, "the cache's config is too large"));
        }
        let _kept_while_read = self.images.lease();
        let fetched = self.host.blob(self.name.clone(), blob.digest.clone(), blob.size, self.auth.clone());
        fetched.await.map_err(refusal)?;
        self.images.content().read(&blob.digest, CONFIG_LIMIT as u64).map_err(|error| refused(&error))
    }

    /// What a manifest tells: a cache by itself, an image with notes in its config, or one of an index's images.
    async fn steps(&self, bytes: &[u8]) -> Result<Vec<Shared>, Status> {
        let manifest = Manifest::read(bytes)?;
        if let Some(config) = manifest.cache() {
            return document(&self.blob(config).await?);
        }
        let host = Platform::host();
        let ours = manifest.manifests.iter().find(|entry| {
            let is = |on: &OnPlatform| (&on.os, &on.architecture) == (&host.os, &host.architecture);
            entry.platform.as_ref().is_some_and(is)
        });
        match ours {
            Some(ours) => {
                let bytes = self.manifest(&self.name.with_digest(ours.digest.clone())).await?;
                self.noted(&Manifest::read(&bytes)?).await
            }
            None => self.noted(&manifest).await,
        }
    }

    async fn noted(&self, manifest: &Manifest) -> Result<Vec<Shared>, Status> {
        let config = manifest.config.as_ref().ok_or_else(|| invalid("it is no build cache and no image"))?;
        let bytes = self.blob(config).await?;
        let layers: Vec<(Digest, String, u64)> = manifest
            .layers
            .iter()
            .map(|layer| (layer.digest.clone(), layer.media_type.clone(), layer.size))
            .collect();
        Ok(gantry_build::shared::noted(&bytes, &layers))
    }
}

impl Bring for Registry {
    fn bring(&self, layer: Layer) -> Task<'_, Result<(), Refusal>> {
        self.host.blob(self.name.clone(), layer.blob, layer.blob_size, self.auth.clone())
    }
}

/// A folder of the client.
#[derive(Debug)]
struct Folder {
    images: ImageStore,
    store: Store,
}

impl Bring for Folder {
    fn bring(&self, layer: Layer) -> Task<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let told = |status: Status| Refusal { class: Class::Unavailable, message: status.message };
            bring(&self.images, &self.store, &layer.blob, layer.blob_size).await.map_err(told)
        })
    }
}

/// Brings a blob of the client's store here.
pub(crate) async fn bring(
    images: &ImageStore,
    store: &Store,
    digest: &Digest,
    size: u64,
) -> Result<(), Status> {
    let content = images.content();
    if content.touch(digest) {
        return Ok(());
    }
    let mut ingest = content.ingest_nameless().map_err(|error| refused(&error))?;
    let mut reading = store.read(digest).await?;
    while let Some(piece) = reading.next().await? {
        if ingest.offset() + piece.len() as u64 > size {
            return Err(Status::new(Code::DataLoss, format!("{digest}: more bytes came than it has")));
        }
        ingest.write_all(&piece).map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    }
    let expected = digest.clone();
    let committed = tokio::task::spawn_blocking(move || ingest.commit(Some(&expected), Some(size))).await;
    let committed = committed.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    committed.map(drop).map_err(|error| refused(&error))
}
