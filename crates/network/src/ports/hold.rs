//! Asking the host for a port, and keeping it from the host's own programs.
//!
//! Packets for a published port never reach a socket: the rules take them first. A socket that is bound but does not
//! listen costs a descriptor and makes a later `bind` by a program of the host fail, instead of leaving it to listen
//! where nobody can reach it. Long runs are asked about and not kept: ten thousand descriptors are not nothing.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::failure::PortError;
use crate::spec::Protocol;

/// Up to this many ports of one run are kept.
const KEPT: u16 = 64;

/// Ports kept for one run; dropping it lets them go.
#[derive(Debug, Default)]
pub struct Hold {
    _sockets: Vec<OwnedFd>,
}

/// Takes `count` ports from `first` on, on every address; `target` is for the text of a refusal.
pub fn hold(
    protocol: Protocol,
    addresses: &[IpAddr],
    first: u16,
    count: u16,
    target: SocketAddr,
) -> Result<Hold, PortError> {
    let mut sockets = Vec::new();
    // Nobody on the host listens on SCTP ports by accident, and many kernels have no such sockets at all.
    if protocol == Protocol::Sctp {
        return Ok(Hold::default());
    }
    for address in addresses {
        for offset in 0..count {
            let host = SocketAddr::new(*address, first + offset);
            let refused = |errno: Errno| PortError::Bind {
                host,
                container: SocketAddr::new(target.ip(), target.port().saturating_add(offset)).to_string(),
                protocol: protocol.as_str(),
                why: reason(errno),
            };
            let kept = take(protocol, host).map_err(refused)?;
            if count <= KEPT {
                sockets.extend(kept);
            }
        }
    }
    Ok(Hold { _sockets: sockets })
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

fn take(protocol: Protocol, host: SocketAddr) -> rustix::io::Result<Option<OwnedFd>> {
    match bound(protocol, host, false) {
        Ok(socket) => Ok(Some(socket)),
        // Perhaps only connections of a program that ended a minute ago: then listening still works. Such a port
        // is free, and cannot be kept.
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp => {
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
        let target = "172.17.0.2:80".parse().unwrap();
        let error = hold(Protocol::Tcp, &[taken.ip()], taken.port(), 1, target).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("failed to bind host port for {taken}:172.17.0.2:80/tcp: address already in use")
        );
        drop(listener);
        let kept = hold(Protocol::Tcp, &[taken.ip()], taken.port(), 1, target).unwrap();
        assert!(TcpListener::bind(taken).is_err());
        drop(kept);
        TcpListener::bind(taken).unwrap();
    }
}
