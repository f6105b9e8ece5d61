//! What one engine alone may keep in a network namespace: the packet rules, and a bridge by its name.
//!
//! Two engines that wrote the same table, or gave out addresses on the same bridge, would take each other's rules and
//! containers' cables away. A claim is a socket with an abstract name: the kernel keeps those by network namespace and
//! lets go of them with the process, however it ends.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::getuid;

use crate::failure::Error;

/// An engine that was told to end has this long to let go.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

/// A held claim; dropping it lets go.
#[derive(Debug)]
pub struct Claim {
    _socket: UnixListener,
}

impl Claim {
    /// Claims `what` in the calling thread's network namespace, or tells who has it. A claim by somebody who could not
    /// write rules anyway is told in the log and not heeded: any user may open such a socket.
    pub fn take(what: &str) -> Result<Option<Claim>, Error> {
        let io = |cause| Error::Io { what: format!("claim {what}"), cause };
        let name = SocketAddr::from_abstract_name(format!("gantry: {what}")).map_err(io)?;
        let begun = Instant::now();
        loop {
            let refused = match UnixListener::bind_addr(&name) {
                Ok(socket) => return Ok(Some(Claim { _socket: socket })),
                Err(error) => error,
            };
            if refused.kind() != std::io::ErrorKind::AddrInUse {
                return Err(io(refused));
            }
            if begun.elapsed() < PATIENCE {
                std::thread::sleep(LOOK);
                continue;
            }
            // Gone between two looks: the next one finds it free.
            let Ok(holder) = UnixStream::connect_addr(&name) else { continue };
            let holder = socket_peercred(&holder).map_err(|errno| io(errno.into()))?;
            if holder.uid == getuid() {
                let process = holder.pid.as_raw_nonzero().get();
                return Err(Error::Claimed { what: what.to_owned(), process });
            }
            tracing::warn!(what, process = ?holder.pid, "a process of another user claims this; it is not heeded");
            return Ok(None);
        }
    }
}
