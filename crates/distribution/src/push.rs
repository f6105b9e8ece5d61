//! Push: blobs the registry lacks, then manifests, children before their index.
//!
//! An image whose layers are still being packed goes in two steps: its layers as they come ([`Registry::push_layers`]), then,
//! when all their names are known, its manifest ([`Registry::push`]).

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{pending, try_join_all};
use futures_util::stream::FuturesUnordered;
use gantry_names::{Digest, Reference};
use http::{Method, header};
use tokio::sync::mpsc;

use crate::auth::Credentials;
use crate::event::{Event, Step};
use crate::failure::RegistryError;
use crate::fetch::Observer;
use crate::manifest::{Descriptor, Document, MANIFEST_MAX, Manifest};
use crate::pull::blocking;
use crate::registry::Registry;
use crate::session::{Call, Session};
use crate::sink::{Blob, Blobs, Source};
use crate::upload::{Upload, mount, whole};

/// Of a blob that was packed while it left, so much must be left to be sent before the registry is asked whether it has it.
const WORTH_ASKING: u64 = 1 << 20;

/// Where an image goes, and how.
pub struct Push<'a> {
    /// The tag (or digest) it gets.
    pub reference: &'a Reference,
    /// As whom.
    pub credentials: &'a Credentials,
    /// Where blobs are kept.
    pub blobs: Arc<dyn Blobs>,
    /// Told of each step.
    pub observer: Observer,
    /// Repositories (paths) of the same registry that are known to hold a layer.
    pub sources: &'a (dyn Fn(&Digest) -> Vec<String> + Sync),
    /// The name a layer has in events: Docker names it by its diff id. Its own digest when there is no better.
    pub label: &'a (dyn Fn(&Digest) -> Digest + Sync),
    /// Layers that [`Registry::push_layers`] has brought: they are neither asked for nor told of.
    pub sent: HashSet<Digest>,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The manifest's digest.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
}

/// A layer that goes before its manifest.
pub enum Layer {
    /// One that is kept as it goes.
    Kept(Blob),
    /// One that is packed meanwhile, and what events call it.
    Made(Arc<dyn Source>, Digest),
}

/// A blob that is kept.
struct Kept {
    blobs: Arc<dyn Blobs>,
    blob: Blob,
}

impl Source for Kept {
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        self.blobs.open(&self.blob.digest, offset)
    }

    fn length(&self) -> u64 {
        self.blob.size
    }

    fn whole(&self) -> io::Result<Blob> {
        Ok(self.blob.clone())
    }
}

impl Registry {
    /// Whether the registry is there and speaks with us, before much is made ready for it.
    pub async fn greet(&self, reference: &Reference, credentials: &Credentials) -> Result<(), RegistryError> {
        self.writable(reference, credentials).await.map(drop)
    }

    /// Pushes layers in the order they come, several at once, until no more come. Returns which the registry has now.
    pub async fn push_layers(
        &self,
        push: &Push<'_>,
        mut coming: mpsc::Receiver<Layer>,
    ) -> Result<HashSet<Digest>, RegistryError> {
        let session = self.writable(push.reference, push.credentials).await?;
        let mut sent = HashSet::new();
        let (mut leaving, mut more) = (FuturesUnordered::new(), true);
        loop {
            tokio::select! {
                layer = coming.recv(), if more => match layer {
                    Some(layer) => leaving.push(self.layer(push, &session, layer)),
                    None => more = false,
                },
                Some(digest) = leaving.next() => { sent.insert(digest?); }
                else => return Ok(sent),
            }
        }
    }

    async fn layer(&self, push: &Push<'_>, session: &Session, layer: Layer) -> Result<Digest, RegistryError> {
        match layer {
            Layer::Kept(blob) => self.blob(push, session, blob, true).await,
            Layer::Made(source, label) => self.made(push, session, &source, &label).await,
        }
    }

    /// Pushes a manifest that is kept, and everything below it.
    pub async fn push(&self, push: &Push<'_>, manifest: &Digest) -> Result<Pushed, RegistryError> {
        (push.observer)(Event::status(format!("The push refers to repository [{}]", push.reference.name())));
        let session = self.writable(push.reference, push.credentials).await?;
        let top = load(push, manifest).await?;
        let children = match &top.document {
            Document::Image(_) => Vec::new(),
            Document::Index(entries) => {
                let mut children = Vec::new();
                for entry in entries {
                    // An index may be kept with only some of its images; what is not here is there, or refused there.
                    match load(push, &entry.digest).await {
                        Ok(child) => children.push(child),
                        Err(RegistryError::Missing(_)) => {}
                        Err(err) => return Err(err),
                    }
                }
                children
            }
        };
        for child in &children {
            self.image(push, &session, child).await?;
            put_manifest(&session, push.reference.path(), child.digest.as_str(), child).await?;
        }
        self.image(push, &session, &top).await?;
        let tag = push.reference.tag();
        let name = tag.map_or_else(|| top.digest.to_string(), str::to_owned);
        put_manifest(&session, push.reference.path(), &name, &top).await?;
        let size = top.bytes.len() as u64;
        (push.observer)(Event::status(format!("{name}: digest: {} size: {size}", top.digest)));
        (push.observer)(Event::Pushed { tag: name, digest: top.digest.clone(), size });
        Ok(Pushed { digest: top.digest, size })
    }

    async fn image(
        &self,
        push: &Push<'_>,
        session: &Session,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        let Document::Image(image) = &manifest.document else { return Ok(()) };
        // An empty layer may stand in an image a dozen times; its bytes travel once.
        let mut layers: Vec<&Descriptor> = Vec::new();
        for layer in &image.layers {
            let known = layers.iter().any(|known| known.digest == layer.digest);
            if layer.urls.is_empty() && !known && !push.sent.contains(&layer.digest) {
                (push.observer)(Event::layer(&(push.label)(&layer.digest), Step::Preparing));
                layers.push(layer);
            }
        }
        let layers = layers.into_iter().map(|layer| self.blob(push, session, Blob::from(layer), true));
        try_join_all(layers).await?;
        self.blob(push, session, Blob::from(&image.config), false).await.map(drop)
    }

    /// Pushes a blob that is kept, unless the registry has it.
    async fn blob(
        &self,
        push: &Push<'_>,
        session: &Session,
        blob: Blob,
        told: bool,
    ) -> Result<Digest, RegistryError> {
        let _slot = self.uploads().acquire().await.expect("nobody closes the semaphore");
        let label = (push.label)(&blob.digest);
        let tell = |step| {
            if told {
                (push.observer)(Event::layer(&label, step));
            }
        };
        if let Some(step) = here(push, session, &blob.digest, told).await? {
            tell(step);
            return Ok(blob.digest);
        }
        let source: Arc<dyn Source> = Arc::new(Kept { blobs: Arc::clone(&push.blobs), blob: blob.clone() });
        self.whole_upload(push, session, &source, blob, &tell).await
    }

    /// Uploads a whole blob, again and again where that may help.
    async fn whole_upload(
        &self,
        push: &Push<'_>,
        session: &Session,
        source: &Arc<dyn Source>,
        blob: Blob,
        tell: &(dyn Fn(Step) + Sync),
    ) -> Result<Digest, RegistryError> {
        let upload = Upload::new(session, push.reference.path(), source, tell);
        let mut attempt = 0;
        loop {
            attempt += 1;
            match upload.run(Some(blob.clone())).await {
                Ok(_) => break,
                Err(err) if err.passing() && attempt < self.attempts() => {
                    tracing::debug!(error = %err, "an upload is tried again");
                    tell(Step::Retrying(u64::from(attempt)));
                    tokio::time::sleep(Duration::from_secs(u64::from(attempt))).await;
                }
                Err(err) => return Err(err),
            }
        }
        tell(Step::Pushed);
        Ok(blob.digest)
    }

    /// Uploads a blob while it is made. Its name is known at its end; if the registry turns out to have it then, the rest
    /// is not sent.
    async fn made(
        &self,
        push: &Push<'_>,
        session: &Session,
        source: &Arc<dyn Source>,
        label: &Digest,
    ) -> Result<Digest, RegistryError> {
        let _slot = self.uploads().acquire().await.expect("nobody closes the semaphore");
        let tell = |step| (push.observer)(Event::layer(label, step));
        let upload = Upload::new(session, push.reference.path(), source, &tell);
        let sent = tokio::select! {
            sent = upload.run(None) => sent,
            (digest, step) = known_meanwhile(push, session, source, &upload) => {
                upload.give_up().await;
                tell(step);
                return Ok(digest);
            }
        };
        match sent {
            Ok(blob) => {
                tell(Step::Pushed);
                Ok(blob.digest)
            }
            Err(err) if err.passing() => {
                tracing::debug!(error = %err, "an upload is tried again when all of it is packed");
                let blob = whole(source).await?;
                self.whole_upload(push, session, source, blob, &tell).await
            }
            Err(err) => Err(err),
        }
    }

    /// Puts a manifest that is at hand, for `docker manifest push` and its like.
    pub async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &Manifest,
        credentials: &Credentials,
    ) -> Result<(), RegistryError> {
        let session = self.writable(reference, credentials).await?;
        let name = reference.tag().map_or_else(|| manifest.digest.to_string(), str::to_owned);
        put_manifest(&session, reference.path(), &name, manifest).await
    }
}

/// Whether the registry has a blob, in this repository or (for layers) in another it takes it over from.
async fn here(
    push: &Push<'_>,
    session: &Session,
    digest: &Digest,
    layer: bool,
) -> Result<Option<Step>, RegistryError> {
    let path = push.reference.path();
    let known = session.once(&Call::new(Method::HEAD, format!("/v2/{path}/blobs/{digest}"))).await?;
    if known.status().is_success() {
        return Ok(Some(Step::LayerAlreadyExists));
    }
    drop(known);
    let sources = if layer { (push.sources)(digest) } else { Vec::new() };
    Ok(mount(session, path, digest, &sources).await?.map(Step::MountedFrom))
}

/// Ends when the rest of an upload need not be sent: the registry has the blob.
async fn known_meanwhile(
    push: &Push<'_>,
    session: &Session,
    source: &Arc<dyn Source>,
    upload: &Upload<'_>,
) -> (Digest, Step) {
    if let Ok(blob) = whole(source).await
        && blob.size.saturating_sub(upload.gone()) >= WORTH_ASKING
        // What goes wrong here goes wrong with the upload as well, which tells.
        && let Ok(Some(step)) = here(push, session, &blob.digest, true).await
    {
        return (blob.digest, step);
    }
    pending().await
}

async fn load(push: &Push<'_>, digest: &Digest) -> Result<Manifest, RegistryError> {
    let (blobs, wanted) = (Arc::clone(&push.blobs), digest.clone());
    let read = blocking(move || blobs.read(&wanted, MANIFEST_MAX as u64)).await;
    let bytes = read.map_err(|err| match err {
        RegistryError::Store(cause) if cause.kind() == io::ErrorKind::NotFound => {
            RegistryError::Missing(digest.clone())
        }
        other => other,
    })?;
    let manifest = Manifest::parse(bytes, None, &push.reference.familiar())?;
    Ok(Manifest { digest: digest.clone(), ..manifest })
}

async fn put_manifest(
    session: &Session,
    path: &str,
    name: &str,
    manifest: &Manifest,
) -> Result<(), RegistryError> {
    let call = Call::new(Method::PUT, format!("/v2/{path}/manifests/{name}"))
        .header(header::CONTENT_TYPE, &manifest.media_type)
        .body(manifest.bytes.clone());
    session.call(call).await.map(drop)
}
