//! Where requests come from: unix sockets, TCP with and without TLS, sockets handed over by systemd.

mod activation;
mod address;
mod lenient;
mod peer;
mod tls;
mod unix;

pub use address::{Address, AddressError};
pub(crate) use lenient::Lenient;
pub(crate) use peer::Peer;
pub use tls::{TlsError, TlsFiles};

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket could not be made.
    #[error("listen on {address}: {cause}")]
    Socket {
        /// The address as asked.
        address: String,
        /// What the kernel said.
        #[source]
        cause: io::Error,
    },
    /// Somebody answers there already.
    #[error("can't create unix socket {0}: is the engine (or another one) already running?")]
    InUse(PathBuf),
    /// The group does not exist.
    #[error("could not change group {path} to {group}: group {group} not found")]
    NoGroup {
        /// The socket.
        path: PathBuf,
        /// The group as asked.
        group: String,
    },
    /// `fd://` without sockets from systemd.
    #[error("no sockets found via socket activation: make sure the service was started by systemd")]
    NotActivated,
    /// `fd://name` of none that systemd gave.
    #[error("could not find a matching activated socket for fd://{0}")]
    NoSuchSocket(String),
}

impl ListenError {
    fn is_in_use(&self) -> bool {
        match self {
            ListenError::InUse(_) => true,
            ListenError::Socket { cause, .. } => cause.kind() == io::ErrorKind::AddrInUse,
            _ => false,
        }
    }
}

/// How sockets are made.
#[derive(Debug, Clone, Default)]
pub struct ListenOptions {
    /// Who may use a unix socket besides its owner: a group's name or number. The default group `docker` may be
    /// missing; a group that was asked for may not.
    pub group: Option<String>,
    /// With it, TCP speaks TLS.
    pub tls: Option<TlsConfig>,
}

/// A TLS configuration that is ready to use.
#[derive(Clone)]
pub struct TlsConfig(pub(crate) TlsAcceptor);

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConfig")
    }
}

/// A socket that accepts.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    address: String,
    /// A unix socket's file, removed with the listener.
    file: Option<unix::SocketFile>,
}

enum Kind {
    Unix(UnixListener),
    Tcp(TcpListener, Option<TlsConfig>),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Unix(_) => "unix",
            Kind::Tcp(_, None) => "tcp",
            Kind::Tcp(_, Some(_)) => "tls",
        })
    }
}

/// How long somebody else may still hold an address.
const PATIENCE: Duration = Duration::from_secs(2);

impl Listener {
    /// Listens on an address. `fd://` may give several.
    ///
    /// An address in use is asked for again for two seconds: a child that an engine was just starting when it was killed holds
    /// its sockets until it runs its own program.
    ///
    /// # Errors
    /// When the kernel, the group or systemd says no.
    pub async fn open(address: &Address, options: &ListenOptions) -> Result<Vec<Listener>, ListenError> {
        let end = Instant::now() + PATIENCE;
        loop {
            match Listener::open_now(address, options).await {
                Err(err) if err.is_in_use() && Instant::now() < end => {
                    tokio::time::sleep(PATIENCE / 40).await;
                }
                other => return other,
            }
        }
    }

    async fn open_now(address: &Address, options: &ListenOptions) -> Result<Vec<Listener>, ListenError> {
        match address {
            Address::Unix(path) => {
                let (listener, file) = unix::listen(path, options.group.as_deref())?;
                let address = path.display().to_string();
                Ok(vec![Listener { kind: Kind::Unix(listener), address, file: Some(file) }])
            }
            Address::Tcp(host) => {
                let failed = |cause| ListenError::Socket { address: address.to_string(), cause };
                let listener = TcpListener::bind(host.as_str()).await.map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?.to_string();
                Ok(vec![Listener {
                    kind: Kind::Tcp(listener, options.tls.clone()),
                    address: bound,
                    file: None,
                }])
            }
            Address::Fd(name) => activation::sockets(name)?
                .into_iter()
                .map(|fd| Listener::inherited(fd, options.tls.clone()))
                .collect(),
        }
    }

    /// A socket that somebody else has opened.
    fn inherited(fd: OwnedFd, tls: Option<TlsConfig>) -> Result<Listener, ListenError> {
        let failed = |cause| ListenError::Socket { address: "fd://".into(), cause };
        let domain = rustix::net::sockopt::socket_domain(&fd).map_err(|e| failed(e.into()))?;
        if domain == rustix::net::AddressFamily::UNIX {
            let listener = std::os::unix::net::UnixListener::from(fd);
            listener.set_nonblocking(true).map_err(failed)?;
            let address = format!("{:?}", listener.local_addr().map_err(failed)?);
            let listener = UnixListener::from_std(listener).map_err(failed)?;
            return Ok(Listener { kind: Kind::Unix(listener), address, file: None });
        }
        let listener = std::net::TcpListener::from(fd);
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        Ok(Listener { kind: Kind::Tcp(listener, tls), address, file: None })
    }

    /// Where it listens, as the log tells it: a path, or an address with the port that was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether a file on disk is removed when this listener is dropped.
    pub fn owns_file(&self) -> bool {
        self.file.is_some()
    }

    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        match &self.kind {
            Kind::Unix(listener) => listener.accept().await.map(|(stream, _)| Connection::Unix(stream)),
            Kind::Tcp(listener, tls) => {
                let (stream, peer) = listener.accept().await?;
                // Attach is a conversation of small pieces.
                stream.set_nodelay(true)?;
                keep_alive(&stream)?;
                Ok(Connection::Tcp(stream, peer, tls.clone()))
            }
        }
    }
}

/// Whether a silent client's machine is still there is asked after so long, and so often; Go's servers do the same.
const ASK_AFTER: Duration = Duration::from_secs(15);
const ASK_TIMES: u32 = 9;

/// A client whose machine went without a word is not waited for.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, ASK_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, ASK_AFTER)?;
    Ok(sockopt::set_tcp_keepcnt(stream, ASK_TIMES)?)
}

/// An accepted connection, before its handshake.
pub(crate) enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream, SocketAddr, Option<TlsConfig>),
}

impl Connection {
    /// Who is there, for the log.
    pub(crate) fn peer(&self) -> String {
        match self {
            Connection::Unix(stream) => match stream.peer_cred() {
                Ok(cred) => format!("uid {}", cred.uid()),
                Err(_) => "unix".into(),
            },
            Connection::Tcp(_, peer, _) => peer.to_string(),
        }
    }

    /// Whether it came over a network, if only this machine's own.
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self, Connection::Tcp(..))
    }

    /// The client's end, where it is on this machine.
    pub(crate) fn client(&self) -> Option<Peer> {
        match self {
            Connection::Unix(stream) => stream.as_fd().try_clone_to_owned().ok().map(Peer::of),
            Connection::Tcp(..) => None,
        }
    }

    /// The stream to speak HTTP on.
    pub(crate) async fn handshake(self) -> io::Result<Box<dyn Io>> {
        match self {
            Connection::Unix(stream) => Ok(Box::new(stream)),
            Connection::Tcp(stream, _, None) => Ok(Box::new(stream)),
            Connection::Tcp(stream, _, Some(TlsConfig(acceptor))) => {
                let mut first = [0];
                if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
                    return Err(refuse_plain(stream).await);
                }
                Ok(Box::new(acceptor.accept(stream).await?))
            }
        }
    }
}

/// The first byte of every TLS conversation (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// What a client that speaks plainly to a TLS port hears from Docker's engine.
const PLAIN: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Tells a client that speaks no TLS so. What it sent is read first: closing over unread bytes would take the answer back.
async fn refuse_plain(mut stream: TcpStream) -> io::Error {
    let told = async {
        let mut head = [0; 4096];
        let _what_it_wanted = stream.read(&mut head).await?;
        stream.write_all(PLAIN).await?;
        stream.shutdown().await
    };
    told.await.err().unwrap_or_else(|| io::Error::other("the client speaks no TLS"))
}

/// Any two-way stream.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_of_another_machine_is_asked_whether_it_is_still_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Listener::inherited(listener.into(), None).unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let Connection::Tcp(stream, ..) = listener.accept().await.unwrap() else { panic!("it is TCP") };
        assert!(rustix::net::sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(rustix::net::sockopt::tcp_keepidle(&stream).unwrap(), ASK_AFTER);
    }
}
