//! Waiting for a child by its descriptor.

use std::io;
use std::os::fd::AsFd;

use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Waits until the child has ended and takes its remains away.
pub(crate) fn wait(pidfd: impl AsFd) -> io::Result<()> {
    loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => continue,
            other => return other.map(drop).map_err(Into::into),
        }
    }
}

/// Whether the process has ended, reaped or not.
pub(crate) fn has_ended(pidfd: impl AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&now)), Ok(1..))
}
