//! One blob from a registry into the keeper: resumed at a byte after any cut, verified as it comes, and fetched once
//! however many pulls want it.
//!
//! A *flight* is one download under way. It runs as a task of its own; pulls watch it, and when the last one stops
//! watching it ends (its bytes stay for the next attempt).

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gantry_errdefs::{Class, Classified};
use gantry_names::Digest;
use http::{Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::event::{Event, Step};
use crate::failure::{RegistryError, passing};
use crate::manifest::Descriptor;
use crate::session::{Call, Session, refusal, retry_after};
use crate::sink::{Blobs, Ingest};

/// Pieces between the network and the disk.
const DEPTH: usize = 16;
/// A download of which no byte comes for so long is cut and resumed.
const SILENCE: Duration = Duration::from_secs(30);
/// The pause after a first fruitless attempt; it grows by as much each time, as Docker's.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause a registry may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(120);
/// Progress is told no more often.
const TELL: Duration = Duration::from_millis(100);

/// Where a flight is.
#[derive(Debug, Clone)]
enum State {
    Waiting,
    Moving(u64),
    Retrying(u64),
    Verifying,
    Done,
    /// The last watcher left before the end.
    Abandoned,
    Failed {
        text: String,
        class: Class,
        status: Option<StatusCode>,
    },
}

/// All downloads of one engine.
pub(crate) struct Flights {
    slots: Arc<Semaphore>,
    attempts: u32,
    flying: Arc<Mutex<HashMap<Digest, watch::Sender<State>>>>,
}

/// Whom to tell.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

impl Flights {
    pub fn new(at_once: usize, attempts: u32) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(at_once.max(1))),
            attempts: attempts.max(1),
            flying: Arc::default(),
        }
    }

    /// The same downloads under other limits: those under way are still joined.
    pub fn under(&self, at_once: usize, attempts: u32) -> Self {
        Self { flying: Arc::clone(&self.flying), ..Self::new(at_once, attempts) }
    }

    /// Fetches a blob, or joins whoever is fetching it. Tells of each step under the blob's short digest.
    pub async fn fetch(
        &self,
        session: &Session,
        repository: &str,
        blob: &Descriptor,
        blobs: &Arc<dyn Blobs>,
        observer: &Observer,
    ) -> Result<(), RegistryError> {
        let mut watched = self.join(session, repository, blob, blobs);
        let tell = |step| observer(Event::layer(&blob.digest, step));
        let (mut last_told, mut verifying) = (None, false);
        loop {
            let state = watched.borrow_and_update().clone();
            match state {
                State::Waiting => tell(Step::Waiting),
                State::Moving(current) => {
                    let now = tokio::time::Instant::now();
                    if last_told.is_none_or(|at| now.duration_since(at) >= TELL) {
                        last_told = Some(now);
                        tell(Step::Downloading { current, total: blob.size });
                    }
                }
                State::Retrying(seconds) => tell(Step::Retrying(seconds)),
                State::Verifying => {
                    verifying = true;
                    tell(Step::VerifyingChecksum);
                }
                State::Done => {
                    // A quick verification is over before we look.
                    if !verifying {
                        tell(Step::VerifyingChecksum);
                    }
                    tell(Step::DownloadComplete);
                    return Ok(());
                }
                State::Abandoned => {
                    // We came when the others had just left.
                    watched = self.join(session, repository, blob, blobs);
                    continue;
                }
                State::Failed { text, class, status } => {
                    tracing::debug!(?status, "a download failed");
                    return Err(RegistryError::Shared { text, class });
                }
            }
            // The sender goes only after it said how it ended.
            if watched.changed().await.is_err() {
                let text = "the download was given up".to_owned();
                return Err(RegistryError::Shared { text, class: Class::Internal });
            }
        }
    }

    fn join(
        &self,
        session: &Session,
        repository: &str,
        blob: &Descriptor,
        blobs: &Arc<dyn Blobs>,
    ) -> watch::Receiver<State> {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flying.get(&blob.digest) {
            let mut watched = flight.subscribe();
            watched.mark_changed();
            return watched;
        }
        let (tell, mut watched) = watch::channel(State::Waiting);
        watched.mark_changed();
        flying.insert(blob.digest.clone(), tell.clone());
        let flight = Flight {
            session: session.clone(),
            path: format!("/v2/{repository}/blobs/{}", blob.digest),
            blob: blob.clone(),
            blobs: Arc::clone(blobs),
            tell,
            attempts: self.attempts,
            given_up: AtomicBool::new(false),
        };
        let (slots, all) = (Arc::clone(&self.slots), Arc::clone(&self.flying));
        tokio::spawn(async move {
            let _slot = slots.acquire_owned().await.expect("nobody closes the semaphore");
            let ended = flight.fly().await;
            // Out of the table first: who comes now begins anew.
            all.lock().unwrap_or_else(PoisonError::into_inner).remove(&flight.blob.digest);
            flight.tell.send_replace(match ended {
                Ok(()) => State::Done,
                Err(_) if flight.given_up.load(Ordering::Relaxed) => State::Abandoned,
                Err(err) => State::Failed { text: err.to_string(), class: err.class(), status: err.status() },
            });
        });
        watched
    }
}

struct Flight {
    session: Session,
    path: String,
    blob: Descriptor,
    blobs: Arc<dyn Blobs>,
    tell: watch::Sender<State>,
    attempts: u32,
    /// Set when this download stops because nobody watches, even if somebody comes back right after.
    given_up: AtomicBool,
}

/// How one attempt ended.
enum Cut {
    /// Another attempt may bring more.
    Again(RegistryError, Option<Duration>),
    /// It will not.
    Final(RegistryError),
}

type Held = Box<dyn Ingest>;

fn lost(err: tokio::task::JoinError) -> ! {
    match err.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => unreachable!("a blocking task is never cancelled: nobody keeps its handle"),
    }
}

impl Flight {
    /// Ends when nobody watches any more.
    async fn abandoned(&self) -> RegistryError {
        self.tell.closed().await;
        self.given_up.store(true, Ordering::Relaxed);
        RegistryError::Truncated
    }

    async fn fly(&self) -> Result<(), RegistryError> {
        let (blobs, digest, size) = (Arc::clone(&self.blobs), self.blob.digest.clone(), self.blob.size);
        let is_layer = self.blob.is_layer();
        let opened = tokio::task::spawn_blocking(move || match blobs.has(&digest, size)? {
            // Another flight brought it between the question of who wanted it and this one.
            true => Ok(None),
            false if is_layer => blobs.ingest_layer(&digest, size).map(Some),
            false => blobs.ingest(&digest, size).map(Some),
        });
        let opened = opened.await.unwrap_or_else(|err| lost(err)).map_err(RegistryError::Store)?;
        let Some(mut held) = opened else { return Ok(()) };
        let mut fruitless = 0;
        loop {
            let before = held.offset();
            let (back, ended) = self.attempt(held).await;
            held = back;
            let (err, wait) = match ended {
                Ok(()) => break,
                Err(Cut::Final(err)) => return Err(err),
                Err(Cut::Again(err, wait)) => (err, wait),
            };
            // A cut after some bytes is a bad line, not a bad registry: go on at once, and for ever.
            let moved = held.offset() > before;
            fruitless = if moved { 0 } else { fruitless + 1 };
            if fruitless >= self.attempts || self.given_up.load(Ordering::Relaxed) {
                return Err(err);
            }
            tracing::debug!(error = %err, offset = held.offset(), "a download is resumed");
            let pause = wait.unwrap_or(PAUSE * fruitless).min(PAUSE_MAX);
            for left in (1..=pause.as_secs()).rev() {
                self.tell.send_replace(State::Retrying(left));
                // Whoever stops watching need not be waited for.
                if let Ok(given_up) = tokio::time::timeout(Duration::from_secs(1), self.abandoned()).await {
                    return Err(given_up);
                }
            }
        }
        self.tell.send_replace(State::Verifying);
        let (digest, size) = (self.blob.digest.clone(), self.blob.size);
        let committed = tokio::task::spawn_blocking(move || held.commit(&digest, size)).await;
        committed.unwrap_or_else(|err| lost(err)).map_err(|err| match err.kind() {
            io::ErrorKind::InvalidData => RegistryError::BlobDigest(self.blob.digest.clone()),
            _ => RegistryError::Store(err),
        })
    }

    /// Asks for what is missing and takes what comes.
    async fn attempt(&self, mut held: Held) -> (Held, Result<(), Cut>) {
        let offset = held.offset();
        if offset == self.blob.size {
            return (held, Ok(()));
        }
        if offset > self.blob.size
            && let Err(err) = held.restart()
        {
            return (held, Err(Cut::Final(RegistryError::Store(err))));
        }
        let offset = held.offset();
        let asked = tokio::select! {
            asked = self.ask(offset) => asked,
            given_up = self.abandoned() => Err(Cut::Final(given_up)),
        };
        let (response, from) = match asked {
            Ok(answered) => answered,
            Err(cut) => return (held, Err(cut)),
        };
        if from != offset
            && let Err(err) = held.restart()
        {
            return (held, Err(Cut::Final(RegistryError::Store(err))));
        }
        self.take(held, response).await
    }

    /// The answer, and the offset its first byte has.
    async fn ask(&self, offset: u64) -> Result<(Response<Incoming>, u64), Cut> {
        let mut call = Call::new(Method::GET, &self.path);
        if let Some(url) = self.blob.urls.first() {
            // A foreign layer is where its manifest says.
            call.target = url.clone();
        }
        if offset > 0 {
            call = call.header(header::RANGE, &format!("bytes={offset}-"));
        }
        let sort =
            |err: RegistryError, wait| if err.passing() { Cut::Again(err, wait) } else { Cut::Final(err) };
        let response = self.session.once(&call).await.map_err(|err| sort(err, None))?;
        match response.status() {
            StatusCode::OK => Ok((response, 0)),
            StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(offset) => Ok((response, offset)),
            // What we have does not fit what they have: begin again.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                let whole = Call { headers: http::HeaderMap::new(), ..call };
                let response = self.session.once(&whole).await.map_err(|err| sort(err, None))?;
                match response.status() {
                    StatusCode::OK => Ok((response, 0)),
                    status => Err(Cut::Again(RegistryError::Status(status), None)),
                }
            }
            status => {
                let wait = retry_after(response.headers());
                let err = refusal(response).await;
                Err(if passing(status) { Cut::Again(err, wait) } else { Cut::Final(err) })
            }
        }
    }

    /// Writes the body on a blocking thread while the next piece is on the wire.
    async fn take(&self, held: Held, response: Response<Incoming>) -> (Held, Result<(), Cut>) {
        let (to, mut from) = mpsc::channel::<Bytes>(DEPTH);
        let mut current = held.offset();
        let writer = tokio::task::spawn_blocking(move || {
            let mut held = held;
            while let Some(bytes) = from.blocking_recv() {
                if let Err(err) = held.write(&bytes) {
                    return (held, Err(err));
                }
            }
            (held, Ok(()))
        });
        let mut body = response.into_body();
        let received = loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(SILENCE, body.frame()) => frame,
                given_up = self.abandoned() => break Err(given_up),
            };
            match frame {
                Err(_) => break Err(RegistryError::Truncated),
                Ok(None) if current == self.blob.size => break Ok(()),
                Ok(None) | Ok(Some(Err(_))) => break Err(RegistryError::Truncated),
                Ok(Some(Ok(frame))) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    current += bytes.len() as u64;
                    if current > self.blob.size {
                        // More than was announced cannot be what was announced.
                        break Err(RegistryError::BlobDigest(self.blob.digest.clone()));
                    }
                    self.tell.send_replace(State::Moving(current));
                    // A closed channel is a failed writer: it tells why itself.
                    if to.send(bytes).await.is_err() {
                        break Ok(());
                    }
                }
            }
        };
        drop(to);
        let (mut held, written) = writer.await.unwrap_or_else(|err| lost(err));
        if let Err(err) = written {
            if err.kind() == io::ErrorKind::StorageFull {
                // What filled the disk does not stay there; failing that, a sweep finds it.
                held.restart().ok();
            }
            return (held, Err(Cut::Final(RegistryError::Store(err))));
        }
        match received {
            Ok(()) => (held, Ok(())),
            Err(err @ RegistryError::BlobDigest(_)) => {
                // Nothing of it is worth keeping; failing that, the next attempt finds out by the digest.
                held.restart().ok();
                (held, Err(Cut::Final(err)))
            }
            Err(err) => (held, Err(Cut::Again(err, None))),
        }
    }
}

/// The first byte of `Content-Range: bytes 5-9/10`.
fn range_start(response: &Response<Incoming>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.parse().ok()
}
