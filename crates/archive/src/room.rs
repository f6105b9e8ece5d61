//! How much may be unpacked: a few bytes of an archive can stand for a disk full.

use std::io::{self, Read};
use std::os::fd::AsFd;

/// What may not be used of what is free, in parts of a hundred.
const RESERVE_PARTS: u64 = 5;

/// Room for an archive's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of all files, holes included: what reads them later reads holes as well.
    pub bytes: u64,
    /// Members.
    pub entries: u64,
}

impl Room {
    /// What is free on the disk of `folder`, but for a reserve.
    pub fn on_disk_of(folder: impl AsFd) -> io::Result<Room> {
        let stat = rustix::fs::fstatvfs(folder)?;
        let part = |free: u64| free / 100 * (100 - RESERVE_PARTS);
        // Some file systems do not count inodes.
        let entries = if stat.f_files == 0 { u64::MAX } else { part(stat.f_favail) };
        Ok(Room { bytes: part(stat.f_bavail.saturating_mul(stat.f_frsize)), entries })
    }

    /// Refuses to read more than there is room for, whatever a stream inflates to.
    pub fn bound<R: Read>(self, inner: R) -> impl Read {
        Bounded { inner, left: self.bytes, room: self }
    }

    pub(crate) fn refuse_bytes(self) -> io::Error {
        let text = format!("it is larger than the {} bytes there is room for", self.bytes);
        io::Error::new(io::ErrorKind::StorageFull, text)
    }

    pub(crate) fn refuse_entries(self) -> io::Error {
        let text = format!("it has more than the {} files there is room for", self.entries);
        io::Error::new(io::ErrorKind::StorageFull, text)
    }
}

struct Bounded<R> {
    inner: R,
    left: u64,
    room: Room,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| self.room.refuse_bytes())?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_end_is_refused_when_the_room_is_used_up() {
        let room = Room { bytes: 1 << 20, entries: 1 };
        let error = io::copy(&mut room.bound(io::repeat(0)), &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(io::copy(&mut room.bound(io::repeat(0).take(1 << 20)), &mut io::sink()).is_ok());
    }
}
