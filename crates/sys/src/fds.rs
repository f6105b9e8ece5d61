//! Descriptors: closing many, handing them over a socket, sealed memory files.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

/// Marks every descriptor from `first` on to be closed by execve.
pub fn cloexec_from(first: u32) -> io::Result<()> {
    // SAFETY: close_range with CLOEXEC only sets a flag; no descriptor is closed and no memory is touched.
    super::check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })?;
    Ok(())
}

/// Takes descriptor `raw` that a parent left open on purpose (socket activation, `--preserve-fds`).
/// Refuses 0, 1, 2 and what is not open.
pub fn adopt(raw: RawFd) -> io::Result<OwnedFd> {
    if raw < 3 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: F_GETFD reads a flag and touches no memory.
    super::check(unsafe { libc::fcntl(raw, libc::F_GETFD) }.into())?;
    // SAFETY: the descriptor is open. The caller says it was inherited, so no other owner exists in this program.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Makes `fd` the descriptor number `to`, which stays open over execve.
pub fn dup_onto(fd: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    if fd.as_raw_fd() == to {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
        return Ok(());
    }
    // SAFETY: dup2 onto a number closes what was there. It is used for 0, 1 and 2, which no OwnedFd of ours owns.
    super::check(unsafe { libc::dup2(fd.as_raw_fd(), to) }.into())?;
    Ok(())
}

/// Sends bytes and descriptors in one message.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one message; the count is 0 when the other side has closed. Descriptors come close-on-exec.
pub fn recv(socket: impl AsFd, into: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(into)];
    let got = loop {
        match rustix::net::recvmsg(&socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => continue,
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            fds.extend(more);
        }
    }
    Ok((got.bytes, fds))
}

/// A file in memory that nobody can change any more.
pub fn sealed_copy(name: &str, from: impl AsFd) -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, SealFlags};
    let size = rustix::fs::fstat(&from)?.st_size as u64;
    let copy = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut offset = 0;
    while offset < size {
        let rest = (size - offset) as usize;
        let sent = rustix::fs::sendfile(&copy, &from, Some(&mut offset), rest)?;
        if sent == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    rustix::fs::fcntl_add_seals(&copy, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(copy)
}
