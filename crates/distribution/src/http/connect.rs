//! From a host's name to a connection that takes requests.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::uri::{Authority, Uri};
use http::{Method, Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{Body, Tls};

/// How long to wait for a connection, TLS included, when nobody says.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no connection; the sentences are Go's.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name leads nowhere.
    #[error("dial tcp: lookup {0}: no such host")]
    Lookup(String),
    /// Nobody answers there.
    #[error("dial tcp {address}: {}", system_call(.cause))]
    Connect {
        /// Where.
        address: String,
        /// Why not.
        cause: io::Error,
    },
    /// It took too long.
    #[error("dial tcp {0}: i/o timeout")]
    Timeout(String),
    /// The other side speaks plain HTTP.
    #[error("http: server gave HTTP response to HTTPS client")]
    NotTls,
    /// The other side's certificate, or ours, is not accepted.
    #[error("tls: failed to verify certificate: {0}")]
    Certificate(String),
    /// TLS failed otherwise.
    #[error("{0}")]
    Tls(String),
    /// The proxy would not.
    #[error("proxyconnect tcp: {0}")]
    Proxy(String),
    /// The connection broke at its beginning.
    #[error("{0}")]
    Http(#[from] hyper::Error),
}

impl DialError {
    /// Whether asking again may help: not where the other side answered that it will not.
    pub fn passing(&self) -> bool {
        match self {
            Self::Connect { cause, .. } => cause.kind() != io::ErrorKind::ConnectionRefused,
            Self::Timeout(_) | Self::Http(_) | Self::Proxy(_) => true,
            Self::Lookup(_) | Self::NotTls | Self::Certificate(_) | Self::Tls(_) => false,
        }
    }
}

fn system_call(err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => format!("connect: {err}"),
    }
}

/// Opens a connection within the time allowed.
pub(super) async fn connect(
    https: bool,
    to: &Authority,
    via: Option<&Uri>,
    tls: &Arc<Tls>,
    patience: Duration,
) -> Result<SendRequest<Body>, DialError> {
    let opened = tokio::time::timeout(patience, open(https, to, via, tls)).await;
    opened.unwrap_or_else(|_| Err(DialError::Timeout(to.to_string())))
}

async fn open(
    https: bool,
    to: &Authority,
    via: Option<&Uri>,
    tls: &Arc<Tls>,
) -> Result<SendRequest<Body>, DialError> {
    let host = to.host().trim_start_matches('[').trim_end_matches(']');
    let port = to.port_u16().unwrap_or(if https { 443 } else { 80 });
    match (via, https) {
        (None, false) => ready(dial(host, port).await?).await,
        (None, true) => ready(encrypt(dial(host, port).await?, host, tls).await?).await,
        (Some(proxy), false) => ready(dial_proxy(proxy).await?).await,
        (Some(proxy), true) => {
            let tunnel = tunnel(dial_proxy(proxy).await?, proxy, host, port).await?;
            ready(encrypt(tunnel, host, tls).await?).await
        }
    }
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, DialError> {
    let addresses = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<_> = addresses.map_err(|_| DialError::Lookup(host.to_owned()))?.collect();
    let mut last = DialError::Lookup(host.to_owned());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                // Without it a small request may wait for an acknowledgement; a failure costs only time.
                tcp.set_nodelay(true).ok();
                return Ok(tcp);
            }
            Err(cause) => last = DialError::Connect { address: address.to_string(), cause },
        }
    }
    Err(last)
}

async fn dial_proxy(proxy: &Uri) -> Result<TcpStream, DialError> {
    let host = proxy.host().unwrap_or_default();
    let port = proxy.port_u16().unwrap_or(80);
    dial(host, port).await.map_err(|err| DialError::Proxy(err.to_string()))
}

async fn encrypt<S>(
    stream: S,
    host: &str,
    tls: &Arc<Tls>,
) -> Result<tokio_rustls::client::TlsStream<S>, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned()).map_err(|err| DialError::Tls(err.to_string()))?;
    tls.connector().connect(name, stream).await.map_err(|err| match tls_cause(&err) {
        Some(rustls::Error::InvalidMessage(_)) => DialError::NotTls,
        Some(rustls::Error::InvalidCertificate(cause)) => DialError::Certificate(x509(cause, host)),
        Some(other) => DialError::Tls(format!("remote error: tls: {other}")),
        None => DialError::Tls(err.to_string()),
    })
}

fn tls_cause(err: &io::Error) -> Option<&rustls::Error> {
    err.get_ref()?.downcast_ref()
}

fn x509(cause: &rustls::CertificateError, host: &str) -> String {
    use rustls::CertificateError as C;
    match cause {
        C::UnknownIssuer => "x509: certificate signed by unknown authority".to_owned(),
        C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } => {
            "x509: certificate has expired or is not yet valid".to_owned()
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            format!("x509: certificate is not valid for {host}")
        }
        // An authority's own certificate, shown as a server's, and its like.
        C::Other(why) => format!("x509: certificate signed by unknown authority ({})", why.0),
        other => format!("x509: {other}"),
    }
}

/// CONNECT through a proxy.
async fn tunnel(
    tcp: TcpStream,
    proxy: &Uri,
    host: &str,
    port: u16,
) -> Result<TokioIo<hyper::upgrade::Upgraded>, DialError> {
    let failed = |text: String| DialError::Proxy(text);
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(tcp)).await?;
    tokio::spawn(async move {
        // Whoever uses the tunnel sees its end; nobody is told twice.
        connection.with_upgrades().await.ok();
    });
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let target = format!("{host}:{port}");
    let mut request = Request::builder().method(Method::CONNECT).uri(&target).header(header::HOST, &target);
    if let Some((user, _)) = proxy.authority().and_then(|authority| authority.as_str().rsplit_once('@')) {
        let word = base64::engine::general_purpose::STANDARD.encode(user);
        request = request.header(header::PROXY_AUTHORIZATION, format!("Basic {word}"));
    }
    let request = request.body(Empty::new()).map_err(|err| failed(err.to_string()))?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(failed(response.status().to_string()));
    }
    Ok(TokioIo::new(hyper::upgrade::on(response).await?))
}

async fn ready<S>(stream: S) -> Result<SendRequest<Body>, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(err) = connection.await {
            tracing::debug!(error = %err, "a connection ended");
        }
    });
    Ok(sender)
}
