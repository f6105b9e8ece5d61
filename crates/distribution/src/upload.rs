//! One blob to a registry: POST, PATCH, PUT, gone on with where the registry says it stands.
//!
//! What is still being made when its upload begins goes in one PATCH without a length, as Docker's own pushes do; its name is
//! told by the PUT. When that PATCH breaks, the rest goes once its length is known.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use gantry_names::Digest;
use http::{Method, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::event::Step;
use crate::failure::RegistryError;
use crate::pull::blocking;
use crate::session::{Call, Session, absolute, encode, refusal};
use crate::sink::{Blob, Source};

/// Bytes read at once of a blob that is pushed.
const PIECE: usize = 256 << 10;
/// Pieces between the disk and the network.
const DEPTH: usize = 4;
/// Progress is told once per so many bytes.
const TELL: u64 = 512 << 10;
/// Other repositories of the same registry that are tried as a source of a layer.
const MOUNTS: usize = 3;

/// Asks the registry to take a layer over from another of its repositories. Returns from which it did.
pub(crate) async fn mount(
    session: &Session,
    path: &str,
    digest: &Digest,
    sources: &[String],
) -> Result<Option<String>, RegistryError> {
    for from in sources.iter().filter(|from| *from != path).take(MOUNTS) {
        let session = session.also([format!("repository:{from}:pull")]);
        let target = format!("/v2/{path}/blobs/uploads/?mount={digest}&from={}", encode(from));
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

/// Waits until a blob is whole.
pub(crate) async fn whole(source: &Arc<dyn Source>) -> Result<Blob, RegistryError> {
    let source = Arc::clone(source);
    blocking(move || source.whole()).await
}

fn location(response: &Response<Incoming>, url: &str) -> Option<String> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    Some(absolute(url, location))
}

fn location_or(response: &Response<Incoming>, url: &str) -> String {
    location(response, url).unwrap_or_else(|| url.to_owned())
}

/// One upload of a blob.
pub(crate) struct Upload<'a> {
    session: &'a Session,
    path: &'a str,
    source: &'a Arc<dyn Source>,
    tell: &'a (dyn Fn(Step) + Sync),
    /// Bytes that left.
    gone: AtomicU64,
    /// Where it was begun, once it was.
    begun: Mutex<Option<String>>,
}

impl<'a> Upload<'a> {
    pub fn new(
        session: &'a Session,
        path: &'a str,
        source: &'a Arc<dyn Source>,
        tell: &'a (dyn Fn(Step) + Sync),
    ) -> Self {
        Self { session, path, source, tell, gone: AtomicU64::new(0), begun: Mutex::default() }
    }

    /// Bytes that left so far.
    pub fn gone(&self) -> u64 {
        self.gone.load(Ordering::Relaxed)
    }

    /// Uploads the blob; `known` when it is whole already. Returns what it turned out to be.
    pub async fn run(&self, mut known: Option<Blob>) -> Result<Blob, RegistryError> {
        let mut location = self.begin().await?;
        let mut offset = 0;
        while known.as_ref().is_none_or(|blob| offset < blob.size) {
            match self.patch(&location, offset, known.as_ref()).await {
                Ok(next) => {
                    location = next;
                    break;
                }
                Err(err) if err.passing() => {
                    // If it broke because the blob could not be made, this says why.
                    known = Some(whole(self.source).await?);
                    let Some((next, stands)) = self.standing(&location).await else { return Err(err) };
                    if stands <= offset {
                        return Err(err);
                    }
                    (location, offset) = (next, stands);
                }
                Err(err) => return Err(err),
            }
        }
        let blob = match known {
            Some(blob) => blob,
            None => whole(self.source).await?,
        };
        let joint = if location.contains('?') { '&' } else { '?' };
        let done = format!("{location}{joint}digest={}", encode(blob.digest.as_str()));
        let call =
            Call::new(Method::PUT, done).header(header::CONTENT_TYPE, "application/octet-stream").body("");
        self.session.call(call).await?;
        Ok(blob)
    }

    /// Tells the registry that no more comes. One that does not hear it finds out by itself in a week.
    pub async fn give_up(&self) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(location) = begun {
            drop(self.session.once(&Call::new(Method::DELETE, location)).await);
        }
    }

    async fn begin(&self) -> Result<String, RegistryError> {
        let target = format!("/v2/{}/blobs/uploads/", self.path);
        let response = self.session.call(Call::new(Method::POST, &*target)).await?;
        let location = location(&response, &self.session.url(&target))
            .ok_or(RegistryError::Status(StatusCode::BAD_GATEWAY))?;
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(location.clone());
        Ok(location)
    }

    async fn patch(
        &self,
        location: &str,
        offset: u64,
        known: Option<&Blob>,
    ) -> Result<String, RegistryError> {
        let mut call =
            Call::new(Method::PATCH, location).header(header::CONTENT_TYPE, "application/octet-stream");
        let left = known.map(|blob| blob.size - offset);
        if let Some(left) = left {
            call = call.header(header::CONTENT_LENGTH, &left.to_string());
            if offset > 0 {
                let range = format!("{offset}-{}", offset + left - 1);
                call = call.header(header::CONTENT_RANGE, &range);
            }
        }
        let (body, mut sent) = self.body(offset, left, known).await?;
        let answered = self.session.stream(call, body);
        let mut answered = std::pin::pin!(answered);
        let response = loop {
            tokio::select! {
                response = &mut answered => break response?,
                Some(bytes) = sent.recv() => {
                    let current = offset + bytes;
                    self.gone.store(current, Ordering::Relaxed);
                    let total = self.source.length().max(current);
                    (self.tell)(Step::Pushing { current, total });
                }
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
        left: Option<u64>,
        known: Option<&Blob>,
    ) -> Result<(crate::http::Body, mpsc::UnboundedReceiver<u64>), RegistryError> {
        let source = Arc::clone(self.source);
        let mut stream = blocking(move || source.open(offset)).await.map_err(|err| match (err, known) {
            (RegistryError::Store(cause), Some(blob)) if cause.kind() == io::ErrorKind::NotFound => {
                RegistryError::Missing(blob.digest.clone())
            }
            (other, _) => other,
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

/// Pieces from a blocking reader as a body that counts.
struct Outgoing {
    bytes: mpsc::Receiver<io::Result<Bytes>>,
    /// How many are to come, when that is known.
    left: Option<u64>,
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
        self.bytes.poll_recv(cx).map(|next| match next {
            Some(Ok(bytes)) => {
                let length = bytes.len() as u64;
                self.left = self.left.map(|left| left.saturating_sub(length));
                self.gone += length;
                if self.gone - self.told >= TELL || self.left == Some(0) {
                    self.told = self.gone;
                    // Whoever counted may have left; the bytes go on.
                    self.tell.send(self.gone).ok();
                }
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(err)) => Some(Err(err)),
            None if self.left.is_some_and(|left| left > 0) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
