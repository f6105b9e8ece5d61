//! From a connection to an answer: accept, read a head in bounded time, find the route, run it, tell the log.

use crate::App;
use crate::body::RequestBody;
use crate::browser;
use crate::call::Call;
use crate::coverage;
use crate::failure::Failure;
use crate::listen::{Connection, Lenient, Listener};
use crate::query::{self, Query};
use crate::reply::{self, Answer, Reply};
use crate::route::{Handler, matched};
use crate::version;
use gantry_api::version::ApiVersion;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const API_VERSION: HeaderName = HeaderName::from_static("api-version");
const OSTYPE: HeaderName = HeaderName::from_static("ostype");
const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");

/// After accept fails for want of file descriptors there is nothing to do but wait for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts on every listener until `drain` is cancelled, then waits until the requests under way are answered.
/// Idle connections are closed at once. The caller bounds the wait.
pub async fn serve(app: Arc<App>, listeners: Vec<Listener>, drain: CancellationToken) {
    let connections = TaskTracker::new();
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| tokio::spawn(accept(app.clone(), listener, drain.clone(), connections.clone())))
        .collect();
    for task in accepting {
        if let Err(err) = task.await {
            tracing::error!(%err, "a listener's task has ended badly");
        }
    }
    connections.close();
    connections.wait().await;
}

async fn accept(app: Arc<App>, listener: Listener, drain: CancellationToken, connections: TaskTracker) {
    tracing::info!("API listen on {}", listener.address());
    loop {
        let accepted = tokio::select! {
            () = drain.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(connection) => {
                connections.spawn(converse(app.clone(), connection, drain.clone()));
            }
            Err(err) => {
                tracing::warn!(%err, listener = %listener.address(), "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, request after request.
async fn converse(app: Arc<App>, connection: Connection, drain: CancellationToken) {
    let limits = app.limits.clone();
    let peer = connection.peer();
    let client = connection.client();
    let for_browsers = connection.is_tcp();
    let io = tokio::select! {
        () = drain.cancelled() => return,
        shaken = tokio::time::timeout(limits.head_timeout, connection.handshake()) => match shaken {
            Ok(Ok(io)) => io,
            Ok(Err(err)) => return tracing::debug!(%peer, %err, "TLS handshake"),
            Err(_) => return tracing::debug!(%peer, "TLS handshake took too long"),
        },
    };
    let service = service_fn(move |mut request: Request<Incoming>| {
        let app = app.clone();
        if let Some(client) = client.clone() {
            request.extensions_mut().insert(client);
        }
        async move { Ok::<_, Infallible>(answer(app, request, for_browsers).await) }
    });
    let conversation = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Lenient::new(io)), service)
        .with_upgrades();
    let mut conversation = std::pin::pin!(conversation);
    let ended = tokio::select! {
        ended = conversation.as_mut() => ended,
        () = drain.cancelled() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    if let Err(err) = ended {
        tracing::debug!(%peer, %err, "connection");
    }
}

/// One request; `for_browsers` says that a page could have sent it.
async fn answer(app: Arc<App>, request: Request<Incoming>, for_browsers: bool) -> Reply {
    let began = Instant::now();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let refusal = if for_browsers { browser::refusal(request.headers()) } else { None };
    let reply = match query::decode(uri.path(), false) {
        _ if let Some(refusal) = &refusal => {
            drop(RequestBody::from(request.into_body()));
            reply::failed(refusal, false)
        }
        Err(failure) => reply::failed(&failure, false),
        // Go's router sends `//containers//json` to the clean path.
        Ok(path) if path.contains("//") => redirect(&path, uri.query()),
        Ok(path) => dispatch(app, request, &path).await,
    };
    tracing::debug!(%method, uri = %uri, status = reply.status().as_u16(), took_us = began.elapsed().as_micros() as u64, "request");
    reply
}

/// Go's cleaned path.
fn redirect(path: &str, query: Option<&str>) -> Reply {
    let mut clean = String::with_capacity(path.len());
    for segment in path.split('/').filter(|s| !s.is_empty()) {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() {
        clean.push('/');
    }
    if let Some(query) = query {
        clean.push('?');
        clean.push_str(query);
    }
    reply::with_header(reply::status(StatusCode::MOVED_PERMANENTLY), header::LOCATION, &clean)
}

async fn dispatch(app: Arc<App>, request: Request<Incoming>, path: &str) -> Reply {
    let (asked, path) = version::split(path);
    let Some((target, name)) = find(&app, request.method(), path) else {
        drop(RequestBody::from(request.into_body()));
        return reply::failed(&Failure::no_such_page(), false);
    };
    let method = request.method().clone();
    // Clients from before JSON errors get plain text that they can show.
    let plain = asked.is_some_and(|v| v.parse().is_ok_and(|v: ApiVersion| v.before(24)));
    let outcome = match version::negotiate(asked, app.oldest, app.newest) {
        Err(failure) => {
            drop(RequestBody::from(request.into_body()));
            Err(failure)
        }
        Ok(version) => run(app.clone(), request, version, target, name).await,
    };
    let mut reply = match outcome {
        Ok(reply) => reply,
        Err(failure) => {
            if failure.status.is_server_error() && failure.status != StatusCode::NOT_IMPLEMENTED {
                tracing::error!(%method, path, error = failure.message, "handler");
            }
            reply::failed(&failure, plain)
        }
    };
    let headers = reply.headers_mut();
    headers.insert(header::SERVER, app.server_header.clone());
    headers.insert(API_VERSION, app.api_version_header.clone());
    headers.insert(OSTYPE, HeaderValue::from_static("linux"));
    headers.insert(
        EXPERIMENTAL,
        if app.experimental { HeaderValue::from_static("true") } else { HeaderValue::from_static("false") },
    );
    reply
}

/// What a path leads to.
enum Target {
    Handler(Handler),
    Refusal(Failure),
    /// `OPTIONS` on anything.
    Nothing,
}

fn find(app: &App, method: &Method, path: &str) -> Option<(Target, String)> {
    if method == Method::OPTIONS {
        return Some((Target::Nothing, String::new()));
    }
    let routes = app.routes.iter().flat_map(|routes| routes.iter());
    for route in routes.filter(|route| route.method == method) {
        if let Some(name) = matched(route.path, path) {
            return Some((Target::Handler(route.handler), name.to_owned()));
        }
    }
    coverage::refusal(method, path).map(|failure| (Target::Refusal(failure), String::new()))
}

/// Runs a handler in a task of its own: a client that goes away never cuts an operation in half, and a panic is
/// a 500, not a dead engine.
async fn run(
    app: Arc<App>,
    mut request: Request<Incoming>,
    version: ApiVersion,
    target: Target,
    name: String,
) -> Answer {
    let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    let client = parts.extensions.remove();
    let body = RequestBody::from(body);
    let handler = match target {
        Target::Handler(handler) => handler,
        Target::Refusal(failure) => return Err(failure),
        Target::Nothing => return Ok(reply::status(StatusCode::OK)),
    };
    let query = Query::parse(parts.uri.query().unwrap_or(""))?;
    let call = Call {
        app,
        method: parts.method,
        version,
        name,
        query,
        headers: parts.headers,
        body,
        upgrade,
        client,
    };
    match tokio::spawn(handler(call)).await {
        Ok(answer) => answer,
        Err(err) if err.is_panic() => {
            Err(Failure::internal("the engine failed at this request; see its log"))
        }
        Err(_) => Err(Failure::internal("the engine is shutting down")),
    }
}
