//! Questions that are not about containers: passed on as they came, the answer passed back as it came.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gantry_netlink::Namespace;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use super::Upstream;
use super::message::{self, Query};

/// How long one server is waited for; glibc's own patience is five seconds in all.
const PATIENCE: Duration = Duration::from_secs(2);
/// Servers tried, as resolvers do.
const TRIED: usize = 3;
/// Largest datagram.
const DATAGRAM: usize = 65535;

/// Asks the servers in turn; the first usable answer wins, else the last one, else `None`.
pub async fn forward(
    query: &Query,
    bytes: &[u8],
    upstreams: &[Upstream],
    sandbox: Option<&Arc<Namespace>>,
    tcp: bool,
) -> Option<Vec<u8>> {
    let mut last = None;
    for upstream in upstreams.iter().take(TRIED) {
        let from = if upstream.from_sandbox { sandbox } else { None };
        let asked = async {
            if tcp {
                over_tcp(query, bytes, upstream.server, from).await
            } else {
                over_udp(query, bytes, upstream.server, from).await
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) if !matches!(message::code(&answer), message::FAILED | message::REFUSED) => {
                return Some(answer);
            }
            Ok(Ok(answer)) => last = Some(answer),
            Ok(Err(error)) => tracing::debug!(%error, server = %upstream.server, "name server failed"),
            Err(_) => tracing::debug!(server = %upstream.server, "name server does not answer"),
        }
    }
    last
}

fn any(server: SocketAddr) -> SocketAddr {
    let ip: IpAddr =
        if server.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    SocketAddr::new(ip, 0)
}

/// Makes a socket where it belongs: a socket stays in the namespace it was opened in.
async fn placed<T: Send + 'static>(
    sandbox: Option<&Arc<Namespace>>,
    make: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    match sandbox {
        None => make(),
        Some(namespace) => {
            let namespace = Arc::clone(namespace);
            let made = tokio::task::spawn_blocking(move || namespace.run(|| Ok(make())));
            made.await.map_err(std::io::Error::other)?.map_err(std::io::Error::other)?
        }
    }
}

async fn over_udp(
    query: &Query,
    bytes: &[u8],
    server: SocketAddr,
    from: Option<&Arc<Namespace>>,
) -> std::io::Result<Vec<u8>> {
    let socket = placed(from, move || {
        let socket = std::net::UdpSocket::bind(any(server))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    })
    .await?;
    let socket = UdpSocket::from_std(socket)?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if query.is_answered_by(&buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn over_tcp(
    query: &Query,
    bytes: &[u8],
    server: SocketAddr,
    from: Option<&Arc<Namespace>>,
) -> std::io::Result<Vec<u8>> {
    let handle = tokio::runtime::Handle::current();
    let socket = placed(from, move || {
        let _runtime = handle.enter();
        if server.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }
    })
    .await?;
    let mut stream = socket.connect(server).await?;
    write_framed(&mut stream, bytes).await?;
    let answer = read_framed(&mut stream).await?;
    match query.is_answered_by(&answer) {
        true => Ok(answer),
        false => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "not an answer to the question")),
    }
}

/// Reads a message with its two bytes of length.
pub async fn read_framed(stream: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Writes a message with its two bytes of length, in one piece.
pub async fn write_framed(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(bytes.len()).map_err(|_| std::io::ErrorKind::InvalidData)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await
}
