//! Tells others of pushes, pulls, mounts and deletes: Docker's notification envelopes, posted with patience.
//!
//! Each receiver has its own queue and its own sender, which tries one event again until it is taken; a receiver
//! that is away holds up nobody. A queue is bounded: when it is full the newest event is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gantry_distribution::http::{Client, Tls, full};
use gantry_names::Digest;
use http::{HeaderMap, Method, header};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::access::Who;
use crate::config::Endpoint;
use crate::http::Query;
use crate::http::listen::Peer;
use crate::name::RepositoryName;
use crate::server::Request;
use crate::store::cache::Stored;
use crate::store::manifest::Target;

/// Events waiting for one receiver: some minutes of a busy registry.
const QUEUE: usize = 10_000;
/// The envelope's type, as Docker's receivers know it.
const ENVELOPE: &str = "application/vnd.docker.distribution.events.v1+json";
/// When a receiver's settings do not say.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The first pause after a failure; it doubles up to [`BACKOFF_MAX`].
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// From which request an event comes.
pub struct Origin(Value);

impl Origin {
    /// What a request says of its origin.
    pub fn of(method: &Method, headers: &HeaderMap, _query: &Query, peer: &Peer, who: &Who) -> Self {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self(json!({
            "host": Request::host(headers),
            "scheme": Request::scheme(headers, peer),
            "addr": peer.address.to_string(),
            "method": method.as_str(),
            "useragent": agent,
            "actor": who.name,
        }))
    }

    fn from(request: &Request) -> Self {
        Self::of(&request.method, &request.headers, &request.query, &request.peer, &request.who)
    }
}

/// What an event is about.
pub struct What {
    /// The content.
    pub digest: Digest,
    /// Its type.
    pub media_type: String,
    /// Its size.
    pub size: u64,
    /// The tag it was reached by.
    pub tag: Option<String>,
}

impl What {
    /// A blob.
    pub fn blob(digest: &Digest, size: u64) -> Self {
        Self { digest: digest.clone(), media_type: "application/octet-stream".to_owned(), size, tag: None }
    }

    /// A manifest.
    pub fn manifest(stored: &Stored, target: &Target) -> Self {
        let tag = match target {
            Target::Tag(tag) => Some(tag.to_string()),
            Target::Digest(_) => None,
        };
        let (digest, media_type) = (stored.digest.clone(), stored.media_type.clone());
        Self { digest, media_type, size: stored.bytes.len() as u64, tag }
    }

    /// What was deleted; a tag has no content of its own.
    pub fn gone(target: &Target) -> Option<Self> {
        match target {
            Target::Digest(digest) => Some(Self { media_type: String::new(), ..Self::blob(digest, 0) }),
            Target::Tag(_) => None,
        }
    }
}

struct Receiver {
    endpoint: Endpoint,
    queue: mpsc::Sender<Arc<Value>>,
}

/// The receivers.
#[derive(Default)]
pub struct Events {
    receivers: Vec<Receiver>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl Events {
    /// Starts a sender per receiver; must be called inside the runtime. The senders end with the runtime.
    pub fn start(endpoints: Vec<Endpoint>, client: &Client, tls: &Arc<Tls>) -> Self {
        let counts = Arc::new(Counts::default());
        let receivers = endpoints.into_iter().filter(|endpoint| !endpoint.disabled).map(|endpoint| {
            let (queue, waiting) = mpsc::channel(QUEUE);
            let sender = Sender {
                endpoint: endpoint.clone(),
                client: client.clone(),
                tls: Arc::clone(tls),
                counts: Arc::clone(&counts),
            };
            tokio::spawn(sender.run(waiting));
            Receiver { endpoint, queue }
        });
        Self { receivers: receivers.collect(), counts }
    }

    /// Delivered events, and attempts that failed.
    pub fn counts(&self) -> (u64, u64) {
        (self.counts.delivered.load(Ordering::Relaxed), self.counts.failed.load(Ordering::Relaxed))
    }

    /// Content was read.
    pub fn pulled(&self, request: &Request, name: &RepositoryName, what: What) {
        if !self.receivers.is_empty() {
            self.tell("pull", &Origin::from(request), name, Some(&what), None);
        }
    }

    /// Content was written.
    pub fn pushed(&self, origin: Origin, name: &RepositoryName, what: What) {
        self.tell("push", &origin, name, Some(&what), None);
    }

    /// Content of another repository was linked.
    pub fn mounted(&self, request: &Request, name: &RepositoryName, what: What) {
        self.tell("mount", &Origin::from(request), name, Some(&what), request.query.get("from"));
    }

    /// Content, or a tag, was deleted.
    pub fn deleted(&self, request: &Request, name: &RepositoryName, what: impl Into<Option<What>>) {
        self.tell("delete", &Origin::from(request), name, what.into().as_ref(), None);
    }

    fn tell(
        &self,
        action: &str,
        origin: &Origin,
        name: &RepositoryName,
        what: Option<&What>,
        from: Option<&str>,
    ) {
        let wanted = |receiver: &&Receiver| {
            let endpoint = &receiver.endpoint;
            let media_type = what.map_or("", |what| what.media_type.as_str());
            let mut kinds = endpoint.ignoredmediatypes.iter().chain(&endpoint.ignore.mediatypes);
            !kinds.any(|kind| kind == media_type)
                && !endpoint.ignore.actions.iter().any(|known| known == action)
        };
        let receivers: Vec<&Receiver> = self.receivers.iter().filter(wanted).collect();
        if receivers.is_empty() {
            return;
        }
        let event = Arc::new(event(action, origin, name, what, from));
        for receiver in receivers {
            if receiver.queue.try_send(Arc::clone(&event)).is_err() {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(receiver = receiver.endpoint.name, "the queue is full, an event is dropped");
            }
        }
    }
}

fn event(
    action: &str,
    origin: &Origin,
    name: &RepositoryName,
    what: Option<&What>,
    from: Option<&str>,
) -> Value {
    let Value::Object(origin) = &origin.0 else { unreachable!("an origin is made as an object") };
    let field = |key: &str| origin.get(key).cloned().unwrap_or(Value::Null);
    let mut target = json!({"repository": name.as_str()});
    if let Some(what) = what {
        let kind = if what.media_type == "application/octet-stream" { "blobs" } else { "manifests" };
        let host = format!(
            "{}://{}",
            origin["scheme"].as_str().unwrap_or("http"),
            origin["host"].as_str().unwrap_or("")
        );
        target = json!({
            "mediaType": what.media_type,
            "size": what.size,
            "length": what.size,
            "digest": what.digest,
            "repository": name.as_str(),
            "url": format!("{host}/v2/{name}/{kind}/{}", what.digest),
        });
        if let Some(tag) = &what.tag {
            target["tag"] = json!(tag);
        }
    }
    if let Some(from) = from {
        target["fromRepository"] = json!(from);
    }
    let mut id = [0; 16];
    // An event without a number is still an event.
    let id = crate::random::fill(&mut id).map(|()| data_encoding::HEXLOWER.encode(&id)).unwrap_or_default();
    json!({
        "id": id,
        "timestamp": jiff::Timestamp::now().to_string(),
        "action": action,
        "target": target,
        "request": {"id": id, "addr": field("addr"), "host": field("host"), "method": field("method"), "useragent": field("useragent")},
        "actor": origin.get("actor").filter(|actor| !actor.is_null()).map_or(json!({}), |name| json!({"name": name})),
        "source": {"addr": field("host"), "instanceID": ""},
    })
}

struct Sender {
    endpoint: Endpoint,
    client: Client,
    tls: Arc<Tls>,
    counts: Arc<Counts>,
}

impl Sender {
    async fn run(self, mut waiting: mpsc::Receiver<Arc<Value>>) {
        let first = self.endpoint.backoff.map_or(BACKOFF, |backoff| backoff.0);
        while let Some(event) = waiting.recv().await {
            let body = json!({"events": [*event]}).to_string();
            let mut pause = first;
            while let Err(err) = self.post(&body).await {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    receiver = self.endpoint.name,
                    error = err,
                    "an event was not taken, it is sent again"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACKOFF_MAX.max(first));
            }
            self.counts.delivered.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn post(&self, body: &str) -> Result<(), String> {
        let mut request = http::Request::post(&self.endpoint.url).header(header::CONTENT_TYPE, ENVELOPE);
        for (name, values) in &self.endpoint.headers {
            for value in values {
                request = request.header(name, &value.0);
            }
        }
        let request = request.body(full(body.to_owned())).map_err(|err| err.to_string())?;
        let patience = self.endpoint.timeout.map_or(TIMEOUT, |timeout| timeout.0);
        let answer = tokio::time::timeout(patience, self.client.send(&self.tls, request)).await;
        let answer = answer.map_err(|_| "no answer in time".to_owned())?.map_err(|err| err.to_string())?;
        match answer.status() {
            status if status.is_success() || status.is_redirection() => Ok(()),
            status => Err(status.to_string()),
        }
    }
}
