//! The client's end of a connection, for what no stream tells: whether it has read what was sent, and whether it is
//! still there.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A client that reads nothing for this long is not waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);
/// Between two looks whether a client is still there: nobody waits for that.
const LOOK: Duration = Duration::from_secs(2);
/// Most clients have read before the first pause.
const FIRST_LOOKS: usize = 32;

/// A unix socket to a client.
#[derive(Debug, Clone)]
pub(crate) struct Peer(Arc<OwnedFd>);

impl Peer {
    pub(super) fn of(socket: OwnedFd) -> Peer {
        Peer(Arc::new(socket))
    }

    /// Waits, not for ever, until the client has read all that was sent.
    pub(crate) async fn has_read(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut looks = 0;
        // What cannot be looked at is not waited for.
        while gantry_sys::fds::unread(&self.0).is_ok_and(|bytes| bytes > 0) && Instant::now() < deadline {
            looks += 1;
            match looks < FIRST_LOOKS {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Waits until the client has gone. A client that only sends no more is there: it reads.
    pub(crate) async fn gone(&self) {
        while !self.hung_up() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn hung_up(&self) -> bool {
        let mut looked = [PollFd::new(&self.0, PollFlags::empty())];
        poll(&mut looked, Some(&Timespec::default())).is_ok() && looked[0].revents().contains(PollFlags::HUP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[tokio::test]
    async fn a_client_that_sends_no_more_is_there_until_it_has_gone() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = Peer::of(ours.into());
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        let short = Duration::from_millis(50);
        assert!(tokio::time::timeout(short, peer.gone()).await.is_err());
        drop(theirs);
        tokio::time::timeout(Duration::from_secs(30), peer.gone()).await.unwrap();
    }
}
