//! The way to a published port that the kernel has no translation for: a listener that copies.
//!
//! Packets from 127.0.0.1, the host's addresses and other machines are translated by the rules and never come here.
//! What does: a caller over IPv6 of a container that has only IPv4, a caller at `::1` (nothing from there leaves the
//! loopback), and everybody where nobody writes rules. The copy lives in the engine: it ends with it and is there again
//! after its next start, as with Docker's proxies. `--userland-proxy=false` is without it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::spec::Protocol;

/// Connections, or UDP callers, at once through one port: callers cannot make the engine run out of descriptors. More
/// wait in the kernel's queue.
const AT_ONCE: usize = 1024;
/// A container that does not answer a connection is given up after this, so that the caller is told.
const PATIENCE: Duration = Duration::from_secs(10);
/// A UDP caller that was not answered for so long is forgotten (`nf_conntrack_udp_timeout_stream` is near it).
const IDLE: Duration = Duration::from_secs(90);
/// What one copy holds in memory, each way.
const PIECE: usize = 64 * 1024;
/// Largest datagram.
const DATAGRAM: usize = 65535;

/// How long the end of a copy is waited for: its tasks have nothing left to do.
const END: Duration = Duration::from_secs(2);

/// A running copy. Dropping it ends it with all its connections, and waits until the port is free: the caller holds no
/// lock that a task of the runtime may want.
#[derive(Debug)]
pub struct Proxy {
    task: JoinHandle<()>,
    /// Hears when the last task that has the socket is gone.
    gone: Receiver<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        if self.gone.recv_timeout(END) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a published port is let go of late");
        }
    }
}

/// A socket and the word that it is closed, in this order.
#[derive(Debug)]
struct Served<S> {
    socket: Arc<S>,
    _here: Sender<()>,
}

impl<S> Clone for Served<S> {
    fn clone(&self) -> Self {
        Served { socket: Arc::clone(&self.socket), _here: self._here.clone() }
    }
}

impl Proxy {
    /// Serves a socket that is bound, and listens if it is TCP's, for a container.
    pub fn start(
        protocol: Protocol,
        socket: OwnedFd,
        target: SocketAddr,
        runtime: &Handle,
    ) -> std::io::Result<Proxy> {
        let _entered = runtime.enter();
        let (here, gone) = channel();
        let task = match protocol {
            Protocol::Udp => {
                let socket = std::net::UdpSocket::from(socket);
                socket.set_nonblocking(true)?;
                let socket = Arc::new(UdpSocket::from_std(socket)?);
                runtime.spawn(datagrams(Served { socket, _here: here }, target))
            }
            Protocol::Tcp | Protocol::Sctp => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                let socket = Arc::new(TcpListener::from_std(listener)?);
                runtime.spawn(streams(Served { socket, _here: here }, target))
            }
        };
        Ok(Proxy { task, gone })
    }
}

async fn streams(listener: Served<TcpListener>, target: SocketAddr) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    // The set belongs to this task: whoever ends it ends them.
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let caller = match listener.socket.accept().await {
            Ok((caller, _)) => caller,
            Err(error) => {
                tracing::debug!(%error, %target, "accept for a published port");
                // Out of descriptors: the next connection may fare better.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            if let Err(error) = copy(caller, target).await {
                tracing::debug!(%error, %target, "a connection to a published port");
            }
            drop(slot);
        });
    }
}

async fn copy(mut caller: TcpStream, target: SocketAddr) -> std::io::Result<()> {
    let mut container = timeout(PATIENCE, TcpStream::connect(target)).await??;
    caller.set_nodelay(true)?;
    container.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut caller, &mut container, PIECE, PIECE).await?;
    Ok(())
}

async fn datagrams(here: Served<UdpSocket>, target: SocketAddr) {
    let mut callers: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        tokio::select! {
            received = here.socket.recv_from(&mut buffer) => {
                // An error here is an earlier answer's: its caller is gone.
                let Ok((length, caller)) = received else { continue };
                let known = match callers.get(&caller) {
                    Some(known) => Arc::clone(known),
                    None if callers.len() >= AT_ONCE => continue,
                    None => match towards(target).await {
                        Ok(made) => {
                            let made = Arc::new(made);
                            callers.insert(caller, Arc::clone(&made));
                            answers.spawn(answer(here.clone(), Arc::clone(&made), caller));
                            made
                        }
                        Err(error) => {
                            tracing::debug!(%error, %target, "a datagram to a published port");
                            continue;
                        }
                    },
                };
                // UDP may lose what nobody takes.
                let _ = known.send(&buffer[..length]).await;
            }
            Some(Ok(gone)) = answers.join_next() => {
                callers.remove(&gone);
            }
        }
    }
}

async fn towards(target: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: IpAddr = match target.is_ipv6() {
        true => Ipv6Addr::UNSPECIFIED.into(),
        false => Ipv4Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(target).await?;
    Ok(socket)
}

/// Carries answers to one caller until there were none for a while.
async fn answer(here: Served<UdpSocket>, container: Arc<UdpSocket>, caller: SocketAddr) -> SocketAddr {
    let mut buffer = vec![0; DATAGRAM];
    while let Ok(received) = timeout(IDLE, container.recv(&mut buffer)).await {
        match received {
            Ok(length) => drop(here.socket.send_to(&buffer[..length], caller).await),
            // The program in the container does not listen yet.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => break,
        }
    }
    caller
}
