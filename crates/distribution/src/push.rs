//! Push: blobs the registry lacks, then manifests, children before their index.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::try_join_all;
use gantry_names::{Digest, Reference};
use http::{Method, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::auth::Credentials;
use crate::event::{Event, Step};
use crate::failure::RegistryError;
use crate::fetch::Observer;
use crate::manifest::{Descriptor, Document, MANIFEST_MAX, Manifest};
use crate::pull::blocking;
use crate::registry::Registry;
use crate::session::{Call, Session, absolute, refusal};
use crate::sink::Blobs;

/// Bytes read at once of a blob that is pushed.
const PIECE: usize = 256 << 10;
/// Pieces between the disk and the network.
const DEPTH: usize = 4;
/// Other repositories of the same registry that are tried as a source of a layer.
const MOUNTS: usize = 3;

/// What is to be pushed, and how.
pub struct Push<'a> {
    /// The tag (or digest) it gets.
    pub reference: &'a Reference,
    /// The manifest: an image's, or an index whose images are here too.
    pub manifest: &'a Digest,
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
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The manifest's digest.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
}

impl Registry {
    /// Whether the registry is there and speaks with us, before much is made ready for it.
    pub async fn greet(&self, reference: &Reference, credentials: &Credentials) -> Result<(), RegistryError> {
        self.writable(reference, credentials).await.map(drop)
    }

    /// Pushes a manifest and everything below it.
    pub async fn push(&self, push: &Push<'_>) -> Result<Pushed, RegistryError> {
        (push.observer)(Event::status(format!("The push refers to repository [{}]", push.reference.name())));
        let session = self.writable(push.reference, push.credentials).await?;
        let top = load(push, push.manifest).await?;
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
            if layer.urls.is_empty() && !layers.iter().any(|known| known.digest == layer.digest) {
                (push.observer)(Event::layer(&(push.label)(&layer.digest), Step::Preparing));
                layers.push(layer);
            }
        }
        try_join_all(layers.into_iter().map(|layer| self.blob(push, session, layer, true))).await?;
        self.blob(push, session, &image.config, false).await
    }

    async fn blob(
        &self,
        push: &Push<'_>,
        session: &Session,
        blob: &Descriptor,
        told: bool,
    ) -> Result<(), RegistryError> {
        let _slot = self.uploads().acquire().await.expect("nobody closes the semaphore");
        let label = (push.label)(&blob.digest);
        let tell = |step| {
            if told {
                (push.observer)(Event::layer(&label, step));
            }
        };
        let path = push.reference.path();
        let known =
            session.once(&Call::new(Method::HEAD, format!("/v2/{path}/blobs/{}", blob.digest))).await?;
        if known.status().is_success() {
            tell(Step::LayerAlreadyExists);
            return Ok(());
        }
        drop(known);
        let sources = if told { (push.sources)(&blob.digest) } else { Vec::new() };
        if let Some(from) = mount(session, path, &blob.digest, &sources).await? {
            tell(Step::MountedFrom(from));
            return Ok(());
        }
        let upload = Upload { session, path, blob, blobs: &push.blobs, tell: &tell };
        let mut attempt = 0;
        loop {
            attempt += 1;
            match upload.run().await {
                Ok(()) => break,
                Err(err) if err.passing() && attempt < self.attempts() => {
                    tracing::debug!(error = %err, "an upload is tried again");
                    tell(Step::Retrying(u64::from(attempt)));
                    tokio::time::sleep(std::time::Duration::from_secs(u64::from(attempt))).await;
                }
                Err(err) => return Err(err),
            }
        }
        tell(Step::Pushed);
        Ok(())
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

/// Asks the registry to take a layer over from another of its repositories.
async fn mount(
    session: &Session,
    path: &str,
    digest: &Digest,
    sources: &[String],
) -> Result<Option<String>, RegistryError> {
    for from in sources.iter().filter(|from| *from != path).take(MOUNTS) {
        let session = session.also([format!("repository:{from}:pull")]);
        let target =
            format!("/v2/{path}/blobs/uploads/?mount={digest}&from={}", crate::session::encode(from));
        let response = session.once(&Call::new(Method::POST, target.clone())).await?;
        match response.status() {
            StatusCode::CREATED => return Ok(Some(from.clone())),
            StatusCode::ACCEPTED => {
                // It became an upload that nobody wants; the registry would find that out itself in a week.
                if let Some(location) = location(&response, &session.url(&target)) {
                    drop(session.once(&Call::new(Method::DELETE, location)).await);
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

fn location(response: &Response<Incoming>, url: &str) -> Option<String> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    Some(absolute(url, location))
}

struct Upload<'a> {
    session: &'a Session,
    path: &'a str,
    blob: &'a Descriptor,
    blobs: &'a Arc<dyn Blobs>,
    tell: &'a (dyn Fn(Step) + Sync),
}

impl Upload<'_> {
    /// POST, PATCH with all bytes, PUT. A PATCH that breaks is gone on with where the registry says it stands.
    async fn run(&self) -> Result<(), RegistryError> {
        let target = format!("/v2/{}/blobs/uploads/", self.path);
        let response = self.session.call(Call::new(Method::POST, &*target)).await?;
        let no_location = || RegistryError::Status(StatusCode::BAD_GATEWAY);
        let mut location = location(&response, &self.session.url(&target)).ok_or_else(no_location)?;
        drop(response);
        let mut offset = 0;
        while offset < self.blob.size {
            match self.patch(&location, offset).await {
                Ok(next) => {
                    location = next;
                    offset = self.blob.size;
                }
                Err(err) if err.passing() => {
                    let Some((next, stands)) = self.standing(&location).await else { return Err(err) };
                    if stands <= offset {
                        return Err(err);
                    }
                    (location, offset) = (next, stands);
                }
                Err(err) => return Err(err),
            }
        }
        let joint = if location.contains('?') { '&' } else { '?' };
        let done = format!("{location}{joint}digest={}", crate::session::encode(self.blob.digest.as_str()));
        let call =
            Call::new(Method::PUT, done).header(header::CONTENT_TYPE, "application/octet-stream").body("");
        self.session.call(call).await.map(drop)
    }

    async fn patch(&self, location: &str, offset: u64) -> Result<String, RegistryError> {
        let left = self.blob.size - offset;
        let mut call = Call::new(Method::PATCH, location)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, &left.to_string());
        if offset > 0 {
            call = call.header(header::CONTENT_RANGE, &format!("{offset}-{}", self.blob.size - 1));
        }
        let (body, mut sent) = self.body(offset, left).await?;
        let answered = self.session.stream(call, body);
        let mut answered = std::pin::pin!(answered);
        let total = self.blob.size;
        let response = loop {
            tokio::select! {
                response = &mut answered => break response?,
                Some(bytes) = sent.recv() => (self.tell)(Step::Pushing { current: offset + bytes, total }),
            }
        };
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        Ok(location_or(&response, location))
    }

    /// A body of the blob's bytes from `offset` on, and how many of them have left.
    async fn body(
        &self,
        offset: u64,
        left: u64,
    ) -> Result<(crate::http::Body, mpsc::UnboundedReceiver<u64>), RegistryError> {
        let (blobs, digest) = (Arc::clone(self.blobs), self.blob.digest.clone());
        let mut stream = blocking(move || blobs.open(&digest, offset)).await.map_err(|err| match err {
            RegistryError::Store(cause) if cause.kind() == io::ErrorKind::NotFound => {
                RegistryError::Missing(self.blob.digest.clone())
            }
            other => other,
        })?;
        let (to, bytes) = mpsc::channel::<io::Result<Bytes>>(DEPTH);
        tokio::task::spawn_blocking(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = stream.read(&mut piece).map(|n| {
                    piece.truncate(n);
                    Bytes::from(piece)
                });
                let over = !matches!(&read, Ok(piece) if !piece.is_empty());
                let ended = matches!(&read, Ok(piece) if piece.is_empty());
                // A closed channel is a connection that broke: nobody reads on.
                if ended || to.blocking_send(read).is_err() || over {
                    return;
                }
            }
        });
        let (tell, sent) = mpsc::unbounded_channel();
        Ok((Outgoing { bytes, left, gone: 0, told: 0, tell }.boxed(), sent))
    }

    /// Where the registry says the upload stands.
    async fn standing(&self, location: &str) -> Option<(String, u64)> {
        let response = self.session.call(Call::new(Method::GET, location)).await.ok()?;
        let range = response.headers().get(header::RANGE)?.to_str().ok()?;
        let end: u64 = range.rsplit_once('-')?.1.parse().ok()?;
        Some((location_or(&response, location), if end == 0 { 0 } else { end + 1 }))
    }
}

fn location_or(response: &Response<Incoming>, url: &str) -> String {
    location(response, url).unwrap_or_else(|| url.to_owned())
}

/// Pieces from a blocking reader as a body that counts.
struct Outgoing {
    bytes: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    gone: u64,
    told: u64,
    tell: mpsc::UnboundedSender<u64>,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        /// Progress is told once per so many bytes.
        const TELL: u64 = 512 << 10;
        self.bytes.poll_recv(cx).map(|next| match next {
            Some(Ok(bytes)) => {
                let length = bytes.len() as u64;
                self.left = self.left.saturating_sub(length);
                self.gone += length;
                if self.gone - self.told >= TELL || self.left == 0 {
                    self.told = self.gone;
                    // Whoever counted may have left; the bytes go on.
                    self.tell.send(self.gone).ok();
                }
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(err)) => Some(Err(err)),
            None if self.left > 0 => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
