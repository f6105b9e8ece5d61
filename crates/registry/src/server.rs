//! One registry that answers requests: what it holds, and the way of a request through it.
//!
//! `answer` is the whole way: route, rights, the endpoint (in [`crate::api`]), the log line. An endpoint returns an
//! answer or a [`Refusal`]; nothing else leaves it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use hyper::body::Incoming;

use crate::access::{Access, Action, Scope, Who};
use crate::api;
use crate::events::Events;
use crate::http::listen::Peer;
use crate::http::route::Route;
use crate::http::{Answer, Body, Query};
use crate::metrics::Metrics;
use crate::name::{RepositoryName, Tag};
use crate::pattern::Pattern;
use crate::proxy::Proxy;
use crate::refusal::{Code, Refusal};
use crate::store::Store;
use crate::store::upload::Uploads;

/// Which registry a mirror answers for.
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// The settings endpoints ask for.
#[derive(Default)]
pub struct Rules {
    /// DELETE is allowed.
    pub delete: bool,
    /// Nothing may be changed.
    pub read_only: bool,
    /// An index may point to manifests that are not here.
    pub sparse: bool,
    /// Bytes are synced before they are acknowledged.
    pub sync: bool,
    /// A client that sends no byte for so long is gone.
    pub patience: Duration,
    /// Clients of a far store are sent there.
    pub redirect: bool,
    /// Tags that never move: repository and tag.
    pub immutable: Vec<(Pattern, Pattern)>,
    /// Limits of repositories, the first that fits counts.
    pub quotas: Vec<(Pattern, u64)>,
    /// Added to every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What stands before every location; the prefix alone for relative ones.
    pub base_url: String,
    /// What stands before every path, `/images`; nothing as a rule.
    pub prefix: String,
    /// `/metrics` is answered on the operators' listener only.
    pub metrics_apart: bool,
    /// One line per request.
    pub access_log: bool,
}

impl Rules {
    /// Whether a tag never moves.
    pub fn immutable(&self, name: &RepositoryName, tag: &Tag) -> bool {
        self.immutable.iter().any(|(names, tags)| names.matches(name.as_str()) && tags.matches(tag.as_str()))
    }

    /// Bytes a repository may hold.
    pub fn quota(&self, name: &RepositoryName) -> Option<u64> {
        self.quotas.iter().find(|(names, _)| names.matches(name.as_str())).map(|(_, size)| *size)
    }
}

/// A running registry.
pub struct Server {
    /// Its storage.
    pub store: Arc<Store>,
    /// Its uploads under way.
    pub uploads: Arc<Uploads>,
    /// Its settings.
    pub rules: Rules,
    /// Who may do what.
    pub access: Access,
    /// Whom to tell.
    pub events: Events,
    /// What it counts.
    pub metrics: Metrics,
    /// Whose content it caches.
    pub proxy: Option<Proxy>,
}

/// A request on its way.
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its query.
    pub query: Query,
    /// Its body, to be read once.
    pub body: Incoming,
    /// From whom.
    pub peer: Peer,
    /// As whom.
    pub who: Who,
}

impl Request {
    /// A header as text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The host the client asked for, with port.
    pub fn host(headers: &HeaderMap) -> &str {
        let forwarded = headers.get("x-forwarded-host").or_else(|| headers.get(header::HOST));
        forwarded.and_then(|host| host.to_str().ok()).unwrap_or("localhost")
    }

    /// `http` or `https`, as the client sees it.
    pub fn scheme<'a>(headers: &'a HeaderMap, peer: &Peer) -> &'a str {
        match headers.get("x-forwarded-proto").and_then(|scheme| scheme.to_str().ok()) {
            Some(scheme @ ("http" | "https")) => scheme,
            _ if peer.tls => "https",
            _ => "http",
        }
    }
}

/// Whether a browser asks: it names the kind of its pages.
fn for_a_person(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|kinds| kinds.to_str().ok())
        .is_some_and(|kinds| kinds.contains("text/html"))
}

/// What a probe hears at `/` that has no rights: the original registry says so much to everybody.
fn alive() -> Answer {
    let mut answer = plain(StatusCode::OK);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

impl Server {
    /// Answers one request.
    pub async fn answer(self: Arc<Self>, peer: Peer, request: http::Request<Incoming>) -> Answer {
        let began = Instant::now();
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let address = peer.address;
        let agent = request.headers().get(header::USER_AGENT).cloned();
        let _under_way = self.metrics.begin();
        // Operators come by a listener of their own, which has no prefix.
        let prefix = if peer.operator { "" } else { self.rules.prefix.as_str() };
        let route = match path.strip_prefix(prefix) {
            Some(below) => Route::parse(below),
            None => Ok(Route::Nowhere),
        };
        let label = route.as_ref().map_or("other", Route::label);
        let (mut answer, user) = match route {
            Ok(route) => self.routed(route, peer, request).await,
            Err(refusal) => (Err(refusal), None),
        };
        let mut answer = match &mut answer {
            Ok(_) => answer.unwrap_or_else(|refusal| refused(&refusal)),
            Err(refusal) => refused(refusal),
        };
        if let Body::Head(length) = answer.body() {
            // hyper writes a length of zero for HEAD only when it is told so in words.
            let length = HeaderValue::from(*length);
            answer.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        self.dress(&mut answer);
        let size = http_body::Body::size_hint(answer.body()).exact().unwrap_or(0);
        let size = if method == Method::HEAD { 0 } else { size };
        self.metrics.end(label, answer.status(), size, began.elapsed());
        if self.rules.access_log {
            tracing::info!(
                target: "access",
                peer = %address,
                user = user.as_deref().unwrap_or("-"),
                method = %method,
                path,
                status = answer.status().as_u16(),
                bytes = size,
                ms = began.elapsed().as_secs_f64() * 1e3,
                agent = agent.as_ref().and_then(|agent| agent.to_str().ok()).unwrap_or("-"),
            );
        }
        answer
    }

    fn dress(&self, answer: &mut Answer) {
        let headers = answer.headers_mut();
        headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        for (name, value) in &self.rules.headers {
            headers.insert(name, value.clone());
        }
    }

    async fn routed(
        self: &Arc<Self>,
        route: Route,
        peer: Peer,
        request: http::Request<Incoming>,
    ) -> (Result<Answer, Refusal>, Option<String>) {
        let (head, body) = request.into_parts();
        let query = Query::parse(head.uri.query());
        let (route, namespace) = self.meant(route, &head.method, &query);
        let scopes = match self.scopes(&route, &head.method, &query) {
            Ok(scopes) => scopes,
            Err(refusal) => return (Err(refusal), None),
        };
        let who = match self.access.authorize(&head.headers, &peer, &scopes).await {
            Ok(who) => who,
            Err(_) if route == Route::Page && !for_a_person(&head.headers) => return (Ok(alive()), None),
            Err(refusal) => return (Err(refusal), None),
        };
        let user = who.name.clone();
        let request = Request { method: head.method, headers: head.headers, query, body, peer, who };
        let mut answer = api::dispatch(self, route, request).await;
        if let (Ok(answer), Some(namespace)) = (&mut answer, namespace) {
            put(answer, NAMESPACE, &namespace);
        }
        (answer, user)
    }

    /// What is read of a mirror: `?ns=ghcr.io` of `a/b` means `ghcr.io/a/b` here, if there is such a repository. A cache
    /// speaks for its upstream. In both cases the answer says so; a client that asks for another registry's image must not
    /// get ours of the same name.
    fn meant(&self, mut route: Route, method: &Method, query: &Query) -> (Route, Option<String>) {
        let reading = matches!(*method, Method::GET | Method::HEAD);
        let Some(namespace) = query.get("ns").filter(|_| reading) else { return (route, None) };
        if let Some(proxy) = &self.proxy {
            return (route, proxy.speaks_for(namespace).then(|| namespace.to_owned()));
        }
        let Some(name) = route.repository_mut() else { return (route, None) };
        // A port's colon has no place in a name.
        let below = RepositoryName::parse(&format!("{}/{name}", namespace.replace(':', "_")));
        match below.filter(|below| self.store.knows(below)) {
            Some(below) => {
                *name = below;
                (route, Some(namespace.to_owned()))
            }
            None => (route, None),
        }
    }

    /// What rights a request needs.
    fn scopes(&self, route: &Route, method: &Method, query: &Query) -> Result<Vec<Scope>, Refusal> {
        let reading = matches!(*method, Method::GET | Method::HEAD);
        let of = |name: &RepositoryName, action| vec![Scope::Repository(name.clone(), action)];
        let scopes = match route {
            Route::OldPing | Route::Health | Route::Token | Route::Nowhere => Vec::new(),
            Route::Base => vec![Scope::Login],
            Route::Catalog | Route::Search | Route::Page | Route::Metrics => vec![Scope::Catalog],
            Route::RepositoryPage(name) | Route::Tags(name) | Route::Referrers(name, _) => {
                of(name, Action::Pull)
            }
            Route::Blob(name, _) | Route::Manifest(name, _) | Route::NoTag(name) => match *method {
                Method::DELETE => of(name, Action::Delete),
                _ if reading => of(name, Action::Pull),
                _ => of(name, Action::Push),
            },
            Route::Upload(name, _) => of(name, Action::Push),
            Route::Uploads(name) => {
                let mut scopes = of(name, Action::Push);
                if query.get("mount").is_some()
                    && let Some(from) = query.get("from").and_then(RepositoryName::parse)
                {
                    scopes.push(Scope::Mount(from));
                }
                scopes
            }
        };
        let changes = !reading && !matches!(route, Route::Token);
        if changes && self.rules.read_only {
            return Err(Refusal::saying(Code::Unsupported, "The registry is read-only.")
                .status(StatusCode::SERVICE_UNAVAILABLE));
        }
        if changes && self.proxy.is_some() {
            return Err(Refusal::saying(Code::Unsupported, "A pull-through cache takes no changes."));
        }
        Ok(scopes)
    }
}

/// An answer with headers and no body.
pub fn plain(status: StatusCode) -> Answer {
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

/// An answer of bytes.
pub fn bytes(status: StatusCode, content_type: &str, bytes: impl Into<bytes::Bytes>) -> Answer {
    let mut answer = Answer::new(Body::Bytes(bytes.into()));
    *answer.status_mut() = status;
    put(&mut answer, header::CONTENT_TYPE, content_type);
    answer
}

/// An answer of JSON.
pub fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    bytes(status, "application/json; charset=utf-8", value.to_string())
}

/// Sets a header. What cannot stand in one (it came from outside) is left out.
pub fn put(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = bytes(refusal.status, "application/json; charset=utf-8", refusal.body());
    if let Some(challenge) = &refusal.challenge {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::clone(challenge));
    }
    answer
}
