//! Asking the host for a port, and keeping it from the host's own programs.
//!
//! Packets for a published port never reach a socket where rules translate them: a socket that is bound but does not
//! listen costs a descriptor and makes a later `bind` by a program of the host fail, instead of leaving it to listen
//! where nobody can reach it. Where no rule translates, the same socket is served by [`super::proxy`].
//! Long runs are asked about and not kept: ten thousand descriptors are not nothing.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use tokio::runtime::Handle;

use super::proxy::Proxy;
use crate::failure::PortError;
use crate::spec::Protocol;

/// Up to this many ports of one run are kept.
pub const KEPT: u16 = 64;
/// Callers that wait to be taken by a proxy.
const BACKLOG: i32 = 512;

/// A process that is being started has copies of our sockets until it is another program: a port that was let go in that
/// moment looks taken. So often, and so long between, it is asked for again before that is believed.
const COPIES: (u8, std::time::Duration) = (10, std::time::Duration::from_millis(2));

/// Whether a port that looks taken is asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Another one does as well.
    None,
    /// Exactly this one is wanted, which may have been our own a moment ago.
    Copies,
}

/// Ports kept for one run; dropping it lets them go.
#[derive(Debug, Default)]
pub struct Hold {
    kept: Vec<Kept>,
    proxies: Vec<Proxy>,
}

#[derive(Debug)]
struct Kept {
    protocol: Protocol,
    socket: OwnedFd,
    target: SocketAddr,
    served: bool,
}

/// A host address of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Address on the host, perhaps unspecified.
    pub host: IpAddr,
    /// The container's address behind it, perhaps of the other family.
    pub own: IpAddr,
    /// No rule translates here: the socket is to be served.
    pub served: bool,
}

impl Hold {
    /// Begins to serve the ports that no rule translates. Does nothing the second time.
    pub fn serve(&mut self, runtime: &Handle) -> std::io::Result<()> {
        let (served, kept): (Vec<Kept>, Vec<Kept>) =
            std::mem::take(&mut self.kept).into_iter().partition(|kept| kept.served);
        self.kept = kept;
        for Kept { protocol, socket, target, .. } in served {
            self.proxies.push(Proxy::start(protocol, socket, target, runtime)?);
        }
        Ok(())
    }
}

/// Takes `count` ports from `first` on, at every place; `container_port` is the first one behind them.
pub fn hold(
    protocol: Protocol,
    places: &[Place],
    first: u16,
    count: u16,
    container_port: u16,
    patience: Patience,
) -> Result<Hold, PortError> {
    let mut hold = Hold::default();
    // Nobody on the host listens on SCTP ports by accident, and many kernels have no such sockets at all.
    if protocol == Protocol::Sctp {
        return Ok(hold);
    }
    for place in places {
        for offset in 0..count {
            let host = SocketAddr::new(place.host, first + offset);
            let target = SocketAddr::new(place.own, container_port.saturating_add(offset));
            let refused = |errno: Errno| PortError::Bind {
                host,
                container: target.to_string(),
                protocol: protocol.as_str(),
                why: reason(errno),
            };
            let mut left = if patience == Patience::Copies { COPIES.0 } else { 0 };
            let socket = loop {
                match take(protocol, host, place.served) {
                    Err(Errno::ADDRINUSE) if left > 0 => left -= 1,
                    taken => break taken.map_err(refused)?,
                }
                std::thread::sleep(COPIES.1);
            };
            if count <= KEPT {
                let kept = |socket| Kept { protocol, socket, target, served: place.served };
                hold.kept.extend(socket.map(kept));
            }
        }
    }
    Ok(hold)
}

/// Whether programs of this host can listen on IPv6 at all: else nothing is published there unasked.
pub fn ipv6_is_there() -> bool {
    bound(Protocol::Tcp, SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0)), false).is_ok()
}

/// The texts that Go's users know.
fn reason(errno: Errno) -> String {
    match errno {
        Errno::ADDRINUSE => "address already in use".to_owned(),
        Errno::ADDRNOTAVAIL => "cannot assign requested address".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        other => other.to_string(),
    }
}

fn take(protocol: Protocol, host: SocketAddr, served: bool) -> rustix::io::Result<Option<OwnedFd>> {
    let taken = match served && protocol == Protocol::Tcp {
        // Connections of an earlier proxy may linger here; listening at once keeps the port all the same.
        true => bound(protocol, host, true).and_then(|socket| listen(&socket, BACKLOG).map(|()| socket)),
        false => bound(protocol, host, false),
    };
    match taken {
        Ok(socket) => Ok(Some(socket)),
        // Perhaps only connections of a program that ended a minute ago: then listening still works. Such a port
        // is free, and cannot be kept.
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp && !served => {
            let socket = bound(protocol, host, true)?;
            listen(&socket, 0).map(|()| None)
        }
        // A host without IPv6 has nobody on it either.
        Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if host.ip().is_unspecified() => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn bound(protocol: Protocol, host: SocketAddr, reuse: bool) -> rustix::io::Result<OwnedFd> {
    let family = if host.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let kind = if protocol == Protocol::Udp { SocketType::DGRAM } else { SocketType::STREAM };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if host.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if reuse {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &host)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listening_program_is_seen_and_a_kept_port_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap();
        let places = [Place { host: taken.ip(), own: "172.17.0.2".parse().unwrap(), served: false }];
        let error = hold(Protocol::Tcp, &places, taken.port(), 1, 80, Patience::None).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("failed to bind host port for {taken}:172.17.0.2:80/tcp: address already in use")
        );
        drop(listener);
        let kept = hold(Protocol::Tcp, &places, taken.port(), 1, 80, Patience::None).unwrap();
        assert!(TcpListener::bind(taken).is_err());
        drop(kept);
        TcpListener::bind(taken).unwrap();
    }
}
