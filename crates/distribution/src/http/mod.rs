//! An HTTP client of our own: connections are kept and reused, certificates and proxies are chosen per host, and
//! failures read as Go's do, because people search for those sentences.

mod connect;
mod moving;
mod proxy;
mod tls;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Uri};
use http::{HeaderValue, Request, Response, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

pub use connect::DialError;
pub use proxy::Proxies;
pub use tls::{Tls, TlsError, Trust};

/// A request's body.
pub type Body = BoxBody<Bytes, io::Error>;

/// Idle connections kept per host.
const IDLE_MAX: usize = 16;
/// A server that takes no byte of a request, or all of it and says nothing, for so long has hung.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// A body of bytes at hand.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// No body.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The URL is of no use.
    #[error("unsupported URL {0}")]
    Url(String),
    /// The connection broke.
    #[error("{}", broken(.0))]
    Broken(#[source] hyper::Error),
    /// Nothing came.
    #[error("net/http: timeout awaiting response headers")]
    Silent,
}

fn broken(err: &hyper::Error) -> String {
    // hyper's own sentence says little; the cause is what people know.
    let cause = std::error::Error::source(err).map(ToString::to_string);
    match cause {
        _ if err.is_incomplete_message() => "EOF".to_owned(),
        Some(cause) => cause,
        None => err.to_string(),
    }
}

impl HttpError {
    /// Whether asking again may help.
    pub fn passing(&self) -> bool {
        match self {
            Self::Dial(err) => err.passing(),
            Self::Url(_) => false,
            Self::Broken(_) | Self::Silent => true,
        }
    }
}

/// Whom a connection leads to, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Line {
    https: bool,
    /// Host and port.
    to: Authority,
    /// Through this proxy.
    via: Option<Uri>,
    /// With which certificates: the address of the TLS settings, which live as long as the client.
    settings: usize,
}

type Senders = HashMap<Line, Vec<SendRequest<Body>>>;

/// An extension of a request: how long its connection may take, if it needs a new one.
#[derive(Debug, Clone, Copy)]
pub struct DialPatience(pub Duration);

/// The client. Clones share connections.
#[derive(Clone)]
pub struct Client {
    idle: Arc<Mutex<Senders>>,
    proxies: Arc<Proxies>,
    patience: Duration,
}

impl Client {
    /// A client that goes through these proxies.
    pub fn new(proxies: Proxies) -> Self {
        Self { idle: Arc::default(), proxies: Arc::new(proxies), patience: ANSWER_PATIENCE }
    }

    /// Sends a request with an absolute URL and returns the answer's head; its body is read by the caller. `tls` is
    /// asked only for https.
    pub async fn send(
        &self,
        tls: &Arc<Tls>,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, HttpError> {
        let uri = request.uri().clone();
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(HttpError::Url(uri.to_string())),
        };
        let authority = uri.authority().cloned().ok_or_else(|| HttpError::Url(uri.to_string()))?;
        let via = self.proxies.for_host(https, authority.host()).cloned();
        if !request.headers().contains_key(header::HOST) {
            // An authority of a parsed URI is always a fitting header value.
            if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
                request.headers_mut().insert(header::HOST, host);
            }
        }
        if https || via.is_none() {
            // Only a proxy for plain HTTP wants to see the whole URL.
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            *request.uri_mut() = path.parse().map_err(|_| HttpError::Url(uri.to_string()))?;
        }
        let line = Line { https, to: authority, via, settings: Arc::as_ptr(tls) as usize };
        self.exchange(line, tls, request).await
    }

    async fn exchange(
        &self,
        line: Line,
        tls: &Arc<Tls>,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, HttpError> {
        let (mut request, moved) = moving::watched(request);
        while let Some(mut sender) = self.take(&line) {
            // A kept connection may have died unseen; then the request comes back whole and goes on a fresh one.
            match moved.answered(self.patience, sender.try_send_request(request)).await? {
                Ok(response) => {
                    self.keep(line, sender);
                    return Ok(response);
                }
                Err(mut err) => match err.take_message() {
                    Some(back) => request = back,
                    None => return Err(HttpError::Broken(err.into_error())),
                },
            }
        }
        let patience = request.extensions().get::<DialPatience>().map_or(connect::PATIENCE, |told| told.0);
        let mut sender = connect::connect(line.https, &line.to, line.via.as_ref(), tls, patience).await?;
        let sent = moved.answered(self.patience, sender.send_request(request)).await?;
        let response = sent.map_err(HttpError::Broken)?;
        self.keep(line, sender);
        Ok(response)
    }

    /// A connection that is ready for the next request: the last answer's body has been read to its end.
    fn take(&self, line: &Line) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.get_mut(line)?;
        senders.retain(|sender| !sender.is_closed());
        let ready = senders.iter().position(SendRequest::is_ready)?;
        Some(senders.swap_remove(ready))
    }

    fn keep(&self, line: Line, sender: SendRequest<Body>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.entry(line).or_default();
        senders.retain(|sender| !sender.is_closed());
        if senders.len() < IDLE_MAX {
            senders.push(sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_takes_no_longer_than_its_request_allows() {
        // It accepts, and never says a word of TLS.
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = mute.local_addr().unwrap();
        let client = Client::new(Proxies::none());
        let tls = Arc::new(Tls::open(&Trust::default(), true).unwrap());
        let mut request = Request::new(empty());
        *request.uri_mut() = format!("https://{address}/v2/").parse().unwrap();
        request.extensions_mut().insert(DialPatience(Duration::from_millis(200)));
        let sent = tokio::time::timeout(Duration::from_secs(20), client.send(&tls, request));
        let err = sent.await.expect("it gives up by itself").unwrap_err();
        assert_eq!(err.to_string(), format!("dial tcp {address}: i/o timeout"));
        assert!(err.passing());
    }

    #[tokio::test]
    async fn a_body_that_leaves_slowly_is_no_silence_and_a_mute_server_is() {
        let patience = Duration::from_millis(500);
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let client = Client { patience, ..Client::new(Proxies::none()) };
        let tls = Arc::new(Tls::open(&Trust::default(), true).unwrap());
        let (to, bytes) = tokio::sync::mpsc::channel::<Bytes>(1);
        let stream = futures_util::stream::unfold(bytes, |mut bytes| async {
            bytes.recv().await.map(|piece| (Ok(http_body::Frame::data(piece)), bytes))
        });
        let mut request = Request::new(BodyExt::boxed(http_body_util::StreamBody::new(Box::pin(stream))));
        *request.uri_mut() = format!("http://{address}/").parse().unwrap();
        *request.method_mut() = http::Method::PATCH;
        let told = tokio::spawn(async move {
            let (mut tcp, _) = server.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"0\r\n\r\n") {
                tokio::io::AsyncReadExt::read_buf(&mut tcp, &mut heard).await.unwrap();
            }
            let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut tcp, answer).await.unwrap();
            // The next request is never answered.
            (tcp, server)
        });
        tokio::spawn(async move {
            for _ in 0..8 {
                tokio::time::sleep(patience / 2).await;
                to.send(Bytes::from_static(b"x")).await.unwrap();
            }
        });
        assert_eq!(client.send(&tls, request).await.unwrap().status(), 202);
        let _held = told.await.unwrap();
        let mut request = Request::new(full("x"));
        *request.uri_mut() = format!("http://{address}/").parse().unwrap();
        assert!(matches!(client.send(&tls, request).await.unwrap_err(), HttpError::Silent));
    }
}
