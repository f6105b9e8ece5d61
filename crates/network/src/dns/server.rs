//! The loop over questions: one server a sandbox (and one for the host when asked for), UDP and TCP.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use gantry_netlink::nft::{Batch, ChainKind, Family, Hook, HookPoint, Rule, Table};
use gantry_netlink::{Namespace, Service, Socket};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::message::{self, Query, Record};
use super::{ADDRESS, Asker, Names, forward};
use crate::driver::kernel;
use crate::failure::Error;

/// Questions on their way to other servers at once, a sandbox: a container cannot make the engine run out of sockets.
const IN_FLIGHT: usize = 256;
/// TCP connections at once, a sandbox.
const CONNECTIONS: usize = 64;
/// A TCP connection without a question is closed after this.
const IDLE: Duration = Duration::from_secs(10);
const TCP: u8 = 6;
const UDP: u8 = 17;
const TABLE: Table<'static> = Table { family: Family::Ip, name: "gantry-dns" };
const RAW: i32 = -300;

/// A running server; dropping it ends it and lets go of the namespace.
#[derive(Debug)]
pub struct Server {
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct Shared {
    names: Arc<dyn Names>,
    asker: Asker,
    namespace: Option<Arc<Namespace>>,
    in_flight: Arc<Semaphore>,
}

impl Server {
    /// Starts the server of a sandbox: sockets and rules inside it, the loop on the runtime.
    pub fn in_sandbox(
        namespace: Namespace,
        runtime: &Handle,
        names: Arc<dyn Names>,
        asker: Asker,
    ) -> Result<Server, Error> {
        let sockets = namespace.run(|| {
            let sockets = open(SocketAddr::new(ADDRESS.into(), 0))?;
            redirect(sockets.0.local_addr()?.port(), sockets.1.local_addr()?.port())?;
            Ok(sockets)
        });
        let (udp, tcp) = sockets.map_err(kernel("name server"))?;
        Self::serve(udp, tcp, runtime, names, asker, Some(Arc::new(namespace)))
    }

    /// Starts the server of the host, in the calling thread's namespace.
    pub fn on_host(
        listen: SocketAddr,
        runtime: &Handle,
        names: Arc<dyn Names>,
        suffix: &str,
    ) -> Result<Server, Error> {
        let what = || format!("name server on {listen}");
        let (udp, tcp) = open(listen).map_err(|cause| Error::Io { what: what(), cause })?;
        Self::serve(udp, tcp, runtime, names, Asker::Host(suffix.to_ascii_lowercase()), None)
    }

    fn serve(
        udp: UdpSocket,
        tcp: TcpListener,
        runtime: &Handle,
        names: Arc<dyn Names>,
        asker: Asker,
        namespace: Option<Arc<Namespace>>,
    ) -> Result<Server, Error> {
        let io = |cause| Error::Io { what: "name server".to_owned(), cause };
        let _entered = runtime.enter();
        let udp = tokio::net::UdpSocket::from_std(udp).map_err(io)?;
        let tcp = tokio::net::TcpListener::from_std(tcp).map_err(io)?;
        let shared =
            Arc::new(Shared { names, asker, namespace, in_flight: Arc::new(Semaphore::new(IN_FLIGHT)) });
        let datagrams = runtime.spawn(datagrams(Arc::new(udp), Arc::clone(&shared)));
        let streams = runtime.spawn(streams(tcp, shared));
        Ok(Server { tasks: vec![datagrams, streams] })
    }
}

fn open(listen: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let udp = UdpSocket::bind(listen)?;
    let tcp = TcpListener::bind(listen)?;
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    Ok((udp, tcp))
}

/// Port 53 of our address becomes the sockets' ports on the way there, and back on the way back. Stateless: ports are
/// rewritten packet by packet. A table left by an engine that died is replaced.
fn redirect(udp: u16, tcp: u16) -> gantry_netlink::Result<()> {
    const DOMAIN: u16 = 53;
    let mut socket = Socket::open(Service::Netfilter)?;
    let mut batch = Batch::new();
    // Deleting makes the kernel wait for every packet in flight, so it is not done to be on the safe side.
    if socket.has_table(TABLE)? {
        batch.delete_table(TABLE);
    }
    batch.add_table(TABLE);
    let hook = Hook { kind: ChainKind::Filter, point: HookPoint::Output, priority: RAW, drop: false };
    batch.add_chain(TABLE, "output", Some(hook));
    for (transport, port) in [(UDP, udp), (TCP, tcp)] {
        let there = Rule::new().destination(ADDRESS.into(), 32).transport(transport).destination_port(DOMAIN);
        let back = Rule::new().source(ADDRESS.into(), 32).transport(transport).source_port(port);
        batch.add_rule(TABLE, "output", &there.write_destination_port(transport, port));
        batch.add_rule(TABLE, "output", &back.write_source_port(transport, DOMAIN));
    }
    socket.commit(batch)
}

async fn datagrams(socket: Arc<tokio::net::UdpSocket>, shared: Arc<Shared>) {
    let mut buffer = vec![0; 65535];
    loop {
        // An error here is an earlier answer's (its asker is gone); there is always a next question.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let bytes = &buffer[..length];
        let Some(query) = Query::parse(bytes) else {
            if let Some(answer) = message::refusal(bytes) {
                let _ = socket.send_to(&answer, from).await;
            }
            continue;
        };
        if let Some((code, records)) = shared.own(&query) {
            let _ = socket.send_to(&query.answer_datagram(code, &records), from).await;
            continue;
        }
        let Ok(permit) = Arc::clone(&shared.in_flight).try_acquire_owned() else {
            let _ = socket.send_to(&query.answer(message::FAILED, &[]), from).await;
            continue;
        };
        let (socket, shared, bytes) = (Arc::clone(&socket), Arc::clone(&shared), bytes.to_vec());
        tokio::spawn(async move {
            let answer = shared.others(&query, &bytes, false).await;
            let _ = socket.send_to(&answer, from).await;
            drop(permit);
        });
    }
}

async fn streams(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Ok((mut stream, _)) = listener.accept().await else {
            // Out of descriptors: the next connection may fare better.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok(Ok(bytes)) = timeout(IDLE, forward::read_framed(&mut stream)).await {
                let answer = match Query::parse(&bytes) {
                    Some(query) => match shared.own(&query) {
                        Some((code, records)) => query.answer(code, &records),
                        None => shared.others(&query, &bytes, true).await,
                    },
                    None => match message::refusal(&bytes) {
                        Some(answer) => answer,
                        None => break,
                    },
                };
                if forward::write_framed(&mut stream, &answer).await.is_err() {
                    break;
                }
            }
            drop(slot);
        });
    }
}

impl Shared {
    /// The answer about a container, when the question is about one. Which version of EDNS others speak is theirs to say.
    fn own(&self, query: &Query) -> Option<(u8, Vec<Record>)> {
        let found = self.found(query)?;
        Some(if query.edns_version == 0 { found } else { (message::BAD_VERSION, Vec::new()) })
    }

    fn found(&self, query: &Query) -> Option<(u8, Vec<Record>)> {
        if query.kind == message::PTR {
            let address = message::reverse_address(&query.name);
            let name = address.and_then(|address| self.names.reverse(&self.asker, address));
            return name.map(|name| (message::OK, vec![Record::Name(name)])).or(self.not_ours(query));
        }
        match self.names.forward(&self.asker, &query.name) {
            Some(addresses) => {
                // The name is ours: a type it has no record of is answered with none, not passed on.
                let wanted = |address: &IpAddr| match query.kind {
                    message::A => address.is_ipv4(),
                    message::AAAA => address.is_ipv6(),
                    _ => false,
                };
                let records = addresses.into_iter().filter(wanted).map(Record::Address).collect();
                Some((message::OK, records))
            }
            None => self.not_ours(query),
        }
    }

    /// The host's server knows its suffix and nothing else: a refusal sends resolvers on to their next server, where "no
    /// such name" would be the last word.
    fn not_ours(&self, query: &Query) -> Option<(u8, Vec<Record>)> {
        let Asker::Host(suffix) = &self.asker else { return None };
        let under = query.name.strip_suffix(suffix.as_str()).is_some_and(|name| name.ends_with('.'));
        Some((if under { message::NO_SUCH_NAME } else { message::REFUSED }, Vec::new()))
    }

    async fn others(&self, query: &Query, bytes: &[u8], tcp: bool) -> Vec<u8> {
        let upstreams = self.names.upstreams(&self.asker);
        let answer = forward::forward(query, bytes, &upstreams, self.namespace.as_ref(), tcp).await;
        answer.unwrap_or_else(|| query.answer(message::FAILED, &[]))
    }
}
