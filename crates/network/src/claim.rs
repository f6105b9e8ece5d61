//! What one engine alone may keep in a network namespace: the packet rules, and a bridge by its name.
//!
//! Two engines that wrote the same table, or gave out addresses on the same bridge, would take each other's rules and
//! containers' cables away. A claim is a netlink port of the user's protocol that nobody is spoken to on: the kernel gives
//! each number once a network namespace, and takes it back with the process, however that ends. An abstract socket would
//! do as well, but could be connected to from containers on the host's network.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::netlink::{SocketAddrNetlink, USERSOCK};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use rustix::process::getuid;

use crate::failure::Error;

/// An engine that was told to end has this long to let go.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);
/// Claims are numbers from here on: far above those of processes, which the kernel gives out itself.
const FIRST: u32 = 0x4000_0000;

/// A held claim; dropping it lets go.
#[derive(Debug)]
pub struct Claim {
    _port: OwnedFd,
}

impl Claim {
    /// Claims `what` in the calling thread's network namespace, or tells who has it. A claim by a user who could not write
    /// rules anyway is told in the log and not heeded: anybody may take such a port.
    pub fn take(what: &str) -> Result<Option<Claim>, Error> {
        let io = |errno: Errno| Error::Io { what: format!("claim {what}"), cause: errno.into() };
        let port = number(what);
        let begun = Instant::now();
        loop {
            let socket =
                socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(USERSOCK));
            let socket = match socket {
                Ok(socket) => socket,
                // Without the protocol there is nothing to claim with.
                Err(Errno::PROTONOSUPPORT) => return Ok(None),
                Err(errno) => return Err(io(errno)),
            };
            match bind(&socket, &SocketAddrNetlink::new(port, 0)) {
                Ok(()) => return Ok(Some(Claim { _port: socket })),
                Err(Errno::ADDRINUSE) if begun.elapsed() < PATIENCE => std::thread::sleep(LOOK),
                Err(Errno::ADDRINUSE) => return refused(what, port),
                Err(errno) => return Err(io(errno)),
            }
        }
    }
}

fn number(what: &str) -> u32 {
    let digest = gantry_names::Digest::sha256_of(format!("gantry: {what}").as_bytes());
    FIRST + u32::from_str_radix(&digest.hex()[..7], 16).expect("a digest is hexadecimal")
}

fn refused(what: &str, port: u32) -> Result<Option<Claim>, Error> {
    let holder = holder(port);
    let stranger = holder.as_ref().is_some_and(|(_, uid)| *uid != getuid().as_raw());
    if stranger {
        tracing::warn!(what, ?holder, "a process of another user claims this; it is not heeded");
        return Ok(None);
    }
    let process = holder.map_or_else(|| "one that is not seen from here".to_owned(), |(process, _)| process);
    Err(Error::Claimed { what: what.to_owned(), process })
}

/// The process that has a port, and whose it is.
fn holder(port: u32) -> Option<(String, u32)> {
    let listed = std::fs::read_to_string("/proc/thread-self/net/netlink").ok()?;
    let rows = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let (protocol, port) = (USERSOCK.as_raw().get().to_string(), port.to_string());
    let row = rows
        .into_iter()
        .find(|row| row.get(1) == Some(&protocol.as_str()) && row.get(2) == Some(&port.as_str()))?;
    let socket = PathBuf::from(format!("socket:[{}]", row.last()?));
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.into_iter().find_map(|process| {
        let number: u32 = process.file_name().to_str()?.parse().ok()?;
        let is_it = |fd: &std::fs::DirEntry| std::fs::read_link(fd.path()).is_ok_and(|link| link == socket);
        std::fs::read_dir(process.path().join("fd")).ok()?.flatten().find(is_it)?;
        Some((number.to_string(), process.metadata().ok()?.uid()))
    })
}
