//! A pseudo terminal out of a given devpts, and becoming its session's leader.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

/// Master and slave of a new terminal, from an open `ptmx` of the devpts that is meant. The slave comes from
/// the master itself, so no path inside a container has to be trusted.
pub fn open_pair(ptmx: OwnedFd) -> io::Result<(OwnedFd, OwnedFd)> {
    unlockpt(&ptmx)?;
    let slave = ioctl_tiocgptpeer(&ptmx, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    Ok((ptmx, slave))
}

/// Makes the terminal the controlling one of the calling session leader.
pub fn control(slave: impl AsFd) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a plain number: 0, do not steal it.
    super::check(unsafe { libc::ioctl(slave.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) }.into()).map(drop)
}
