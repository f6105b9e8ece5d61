//! Accepts connections, with or without TLS, and ends them in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::lane::{Lane, Socket};
use crate::server::Server;

/// Within this time a request's head must be there: against peers that send a byte now and then.
const HEAD_PATIENCE: Duration = Duration::from_secs(20);
/// A peer that takes no byte for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(120);
/// A TLS handshake that takes longer is none.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Read buffer of a connection: also the longest head.
const BUFFER_MAX: usize = 128 << 10;
/// A socket asks for more of a file when less than so much of what it has is unsent. By itself it would take megabytes and
/// touch each again when it goes out, cold by then: that costs a third of the throughput per processor second. What is
/// under way on a long line is not bounded by this.
const UNSENT: u32 = 32 << 10;
/// After a failed accept (mostly: no descriptors left) the next attempt waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// The address.
    pub address: SocketAddr,
    /// Whether bytes are encrypted.
    pub tls: bool,
    /// The way for files; none under TLS.
    pub lane: Option<Arc<Lane>>,
    /// On the operators' listener.
    pub operator: bool,
}

/// A listener and what it needs for its connections.
pub struct Listen {
    /// Where.
    pub listener: TcpListener,
    /// Certificates, if encrypted.
    pub tls: Option<TlsAcceptor>,
    /// Who answers.
    pub server: Arc<Server>,
    /// Most connections at once.
    pub limit: usize,
    /// The operators' listener.
    pub operator: bool,
}

impl Listen {
    /// Serves until `stop` turns true, then lets requests under way end within `drain`.
    pub async fn run(self, mut stop: watch::Receiver<bool>, drain: Duration) {
        let slots = Arc::new(Semaphore::new(self.limit));
        let shared = Arc::new(self);
        loop {
            let slot = tokio::select! {
                slot = Arc::clone(&slots).acquire_owned() => slot.expect("nobody closes the semaphore"),
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let accepted = tokio::select! {
                accepted = shared.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((tcp, address)) => {
                    tokio::spawn(Arc::clone(&shared).connection(tcp, address, slot, stop.clone()));
                }
                Err(err) => {
                    tracing::warn!(error = %err, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let all = u32::try_from(shared.limit).unwrap_or(u32::MAX);
        if tokio::time::timeout(drain, slots.acquire_many(all)).await.is_err() {
            tracing::warn!("connections were still open at the end of the drain time");
        }
    }

    async fn connection(
        self: Arc<Self>,
        tcp: TcpStream,
        address: SocketAddr,
        _slot: OwnedSemaphorePermit,
        stop: watch::Receiver<bool>,
    ) {
        let ended = match self.connected(tcp, address, stop).await {
            Ok(()) => return,
            Err(err) => err,
        };
        // Peers come and go as they like; that is no trouble of ours.
        tracing::debug!(peer = %address, error = %ended, "connection ended");
    }

    async fn connected(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
        stop: watch::Receiver<bool>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        tcp.set_nodelay(true)?;
        let lane = Arc::new(Lane::default());
        let peer = Peer { address, tls: self.tls.is_some(), lane: None, operator: self.operator };
        match &self.tls {
            None => {
                SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT)?;
                let peer = Peer { lane: Some(Arc::clone(&lane)), ..peer };
                self.http(Socket::new(tcp, lane, WRITE_PATIENCE), peer, stop).await
            }
            Some(acceptor) => {
                let stream = tokio::time::timeout(HANDSHAKE_PATIENCE, acceptor.accept(tcp))
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                self.http(stream, peer, stop).await
            }
        }
    }

    async fn http<S>(
        &self,
        stream: S,
        peer: Peer,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| {
            let server = Arc::clone(&self.server);
            let peer = peer.clone();
            async move { Ok::<_, std::convert::Infallible>(server.answer(peer, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE.min(self.server.rules.patience))
            .max_buf_size(BUFFER_MAX)
            // Holes live only in buffers that hyper does not copy (see `lane`).
            .writev(true)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}
