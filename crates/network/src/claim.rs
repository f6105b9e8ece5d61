//! What one engine alone may keep in a network namespace: the packet rules, and a bridge by its name.
//!
//! Two engines that wrote the same table, or gave out addresses on the same bridge, would take each other's rules and
//! containers' cables away. A claim is a netlink port of the user's protocol that nobody is spoken to on: the kernel gives
//! each number once a network namespace, and takes it back with the process, however that ends. An abstract socket would
//! do as well, but could be connected to from containers on the host's network.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::netlink::{SocketAddrNetlink, USERSOCK};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

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
    /// Claims `what` in the calling thread's network namespace, or tells who has it. A claim by a process that could not
    /// write rules anyway is told in the log and not heeded: anybody may take such a port, also a container on the host's
    /// network.
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
    if let Some(process) = holder.as_deref().filter(|process| !may_write_rules(process)) {
        tracing::warn!(
            what,
            process,
            "a process that may not write packet rules claims them; it is not heeded"
        );
        return Ok(None);
    }
    let process = holder.unwrap_or_else(|| "one that is not seen from here".to_owned());
    Err(Error::Claimed { what: what.to_owned(), process })
}

/// Whether a process has CAP_NET_ADMIN in our user namespace. One that has gone meanwhile has nothing.
fn may_write_rules(process: &str) -> bool {
    const NET_ADMIN: u64 = 1 << 12;
    let users = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/user")).ok();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0);
    effective & NET_ADMIN != 0 && users(process) == users("self")
}

/// The process that has a port.
fn holder(port: u32) -> Option<String> {
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
        Some(number.to_string())
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn only_who_may_write_rules_is_heeded() {
        let held = Claim::take("a test's").unwrap().unwrap();
        let refused = Claim::take("a test's").unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(held);

        // As a container on the host's network: root, without the capability.
        let script = "import socket, sys\ns = socket.socket(16, 3, 2)\ns.bind((int(sys.argv[1]), 0))\nprint('held', flush=True)\ninput()";
        let mut squatter = Command::new("setpriv")
            .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", "python3", "-c", script])
            .arg(number("a test's").to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut told = [0; 5];
        squatter.stdout.as_mut().unwrap().read_exact(&mut told).unwrap();
        assert!(Claim::take("a test's").unwrap().is_none(), "neither refused nor taken");
        drop(squatter.stdin.take());
        squatter.wait().unwrap();
        assert!(Claim::take("a test's").unwrap().is_some());
    }
}
