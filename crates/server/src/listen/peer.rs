//! The client's end of a connection, for what no stream tells: whether it has read what was sent.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client that reads nothing for this long is not waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);
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
}
