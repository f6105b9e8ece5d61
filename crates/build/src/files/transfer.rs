//! Bytes of one file into another, by the cheapest way that the two file systems have.

use std::os::fd::OwnedFd;

use rustix::fs;
use rustix::io::Errno;

/// Bytes that are moved at once where the kernel does not do it.
const PIECE: usize = 128 << 10;

/// The ways that are still worth trying: what one pair of files cannot, the next ones of the same copy cannot either.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Shared blocks.
    clones: bool,
    /// Copied inside the kernel.
    ranges: bool,
    /// For copies by hand; empty until the first.
    buffer: Vec<u8>,
}

impl Transfer {
    pub(super) fn new() -> Self {
        Self { clones: true, ranges: true, buffer: Vec::new() }
    }

    /// Copies everything.
    pub(super) fn copy(&mut self, from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
        if self.clones && fs::ioctl_ficlone(to, from).is_ok() {
            return Ok(());
        }
        self.clones = false;
        while self.ranges {
            match fs::copy_file_range(from, None, to, None, 1 << 30) {
                Ok(0) => return Ok(()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.ranges = false,
                Err(error) => return Err(error),
            }
        }
        self.by_hand(from, to)
    }

    /// Goes on where the kernel stopped: both files keep their positions.
    fn by_hand(&mut self, from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
        self.buffer.resize(PIECE, 0);
        loop {
            let read = match rustix::io::read(from, &mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            let mut rest = &self.buffer[..read];
            while !rest.is_empty() {
                match rustix::io::write(to, rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
