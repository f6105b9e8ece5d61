//! The client: an address, an API version, and connections that are used again.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;

use crate::body::told;
use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::error::ClientError;
use crate::gate::Gate;
use crate::tls;
use crate::transport;

/// The newest API version this client speaks.
pub const NEWEST_API: &str = "1.51";

/// The oldest one it can still talk to.
const OLDEST_API: &str = "1.24";

/// The socket of our own engine, which speaks every version: no need to ask for it.
const OUR_SOCKET: &str = "/run/gantry.sock";

/// The longest an engine may take to accept and greet; afterwards calls take as long as they take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

type Sender = SendRequest<BoxBody<Bytes, std::io::Error>>;

/// How a client is to behave.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A fixed API version (`DOCKER_API_VERSION`), which switches negotiation off.
    pub api_version: Option<String>,
    /// Headers for every request (`HttpHeaders` of the configuration file).
    pub headers: Vec<(String, String)>,
    /// What to call ourselves.
    pub user_agent: String,
}

/// What an engine says of itself in the headers of `/_ping`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ping {
    /// The newest API version it speaks; empty when it did not say.
    pub api_version: String,
    /// `linux` or `windows`.
    pub os_type: String,
    /// `1` classic builder, `2` BuildKit.
    pub builder_version: String,
    /// Whether experimental features are on.
    pub experimental: bool,
}

/// A client of one engine. Clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    pub(crate) gate: Arc<Gate>,
}

struct Inner {
    endpoint: Endpoint,
    options: Options,
    headers: Vec<(HeaderName, HeaderValue)>,
    version: Mutex<Option<String>>,
    ping: Mutex<Option<Ping>>,
    idle: Mutex<Vec<Sender>>,
}

impl Client {
    /// A client of the engine at `endpoint`. Nothing is connected yet.
    pub fn new(endpoint: Endpoint, options: Options) -> Client {
        let ours = matches!(&endpoint, Endpoint::Unix(path) if path == Path::new(OUR_SOCKET));
        let version = match &options.api_version {
            Some(version) => Some(version.trim_start_matches('v').to_owned()),
            None if ours => Some(NEWEST_API.to_owned()),
            None => None,
        };
        let headers = options
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)))
            .collect();
        Client {
            inner: Arc::new(Inner {
                endpoint,
                options,
                headers,
                version: Mutex::new(version),
                ping: Mutex::new(None),
                idle: Mutex::new(Vec::new()),
            }),
            gate: Arc::default(),
        }
    }

    /// Where the engine is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// A `GET` of a path below the API version.
    pub fn get(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::GET, path.into())
    }

    /// A `POST` of a path below the API version.
    pub fn post(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::POST, path.into())
    }

    /// A `PUT` of a path below the API version.
    pub fn put(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::PUT, path.into())
    }

    /// A `DELETE` of a path below the API version.
    pub fn delete(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::DELETE, path.into())
    }

    /// A `HEAD` of a path below the API version.
    pub fn head(&self, path: impl Into<String>) -> Call<'_> {
        Call::new(self, Method::HEAD, path.into())
    }

    /// Asks the engine who it is, once; later calls repeat the answer.
    pub async fn ping(&self) -> Result<Ping, ClientError> {
        if let Some(known) = lock(&self.inner.ping).clone() {
            return Ok(known);
        }
        // HEAD is new since 1.40; an older engine answers it with an error, so ask again with GET.
        let mut answer = self.head("/_ping").send_at(None).await?;
        if answer.status().is_client_error() || answer.status().is_server_error() {
            answer = self.get("/_ping").send_at(None).await?;
        }
        let header = |name: &str| {
            answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
        };
        let ping = Ping {
            api_version: header("api-version"),
            os_type: header("ostype"),
            builder_version: header("builder-version"),
            experimental: header("docker-experimental") == "true",
        };
        *lock(&self.inner.ping) = Some(ping.clone());
        Ok(ping)
    }

    /// The API version in use: fixed, known, or the newest both sides speak.
    pub async fn version(&self) -> Result<String, ClientError> {
        if let Some(version) = lock(&self.inner.version).clone() {
            return Ok(version);
        }
        let ping = self.ping().await?;
        // An engine from before the header is one of the oldest that we speak.
        let theirs = if ping.api_version.is_empty() { OLDEST_API } else { &ping.api_version };
        let version = if older(theirs, NEWEST_API) { theirs } else { NEWEST_API }.to_owned();
        *lock(&self.inner.version) = Some(version.clone());
        Ok(version)
    }

    /// Whether the API version in use is at least `wanted`.
    pub async fn speaks(&self, wanted: &str) -> Result<bool, ClientError> {
        Ok(!older(&self.version().await?, wanted))
    }

    pub(crate) fn host_header(&self) -> String {
        match &self.inner.endpoint {
            Endpoint::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Tcp { host, port, .. } => format!("{host}:{port}"),
            // Engines refuse a socket's path as a host name; this is the name Docker's own client gives.
            _ => "api.moby.localhost".into(),
        }
    }

    pub(crate) fn extra_headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.inner.headers
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.inner.options.user_agent
    }

    /// Sends one request. `keep` gives the connection back for the next one; an upgraded one is not kept.
    pub(crate) async fn exchange(
        &self,
        request: Request<BoxBody<Bytes, std::io::Error>>,
        keep: bool,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut sender = match self.take_idle() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let response = sender.send_request(request).await.map_err(|err| match &self.inner.endpoint {
            Endpoint::Ssh { host, .. } if err.is_incomplete_message() || err.is_closed() => {
                ClientError::Connect {
                    cause: format!("ssh to {host} ended; is docker (or gantry) installed and running there?"),
                }
            }
            endpoint => match tls::advice(&err) {
                Some(advice) => ClientError::Connect { cause: format!("{endpoint}: {advice}") },
                None => ClientError::Protocol(format!("error during connect: {}", told(&err))),
            },
        })?;
        if keep {
            lock(&self.inner.idle).push(sender);
        }
        Ok(response)
    }

    fn take_idle(&self) -> Option<Sender> {
        let mut idle = lock(&self.inner.idle);
        idle.retain(|sender| !sender.is_closed());
        let at = idle.iter().position(SendRequest::is_ready)?;
        Some(idle.swap_remove(at))
    }

    async fn connect(&self) -> Result<Sender, ClientError> {
        let endpoint = &self.inner.endpoint;
        let greet = async {
            let wire = transport::connect(endpoint).await?;
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(wire))
                .await
                .map_err(|e| ClientError::Protocol(told(&e)))?;
            // Its owner is the sender: the task ends when the sender and the answer's body are gone.
            tokio::spawn(async move {
                // A broken connection is told by the request that used it.
                let _ = connection.with_upgrades().await;
            });
            Ok(sender)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, greet).await {
            Ok(done) => done,
            Err(_) => Err(ClientError::Unreachable { host: endpoint.host() }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether version `a` ("1.41") comes before `b`.
fn older(a: &str, b: &str) -> bool {
    let parts = |v: &str| -> (u32, u32) {
        let (major, minor) = v.split_once('.').unwrap_or((v, "0"));
        (major.parse().unwrap_or(0), minor.parse().unwrap_or(0))
    };
    parts(a) < parts(b)
}

#[cfg(test)]
mod tests {
    use super::older;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(older("1.9", "1.24"));
        assert!(!older("1.51", "1.51"));
        assert!(!older("2.0", "1.99"));
    }
}
