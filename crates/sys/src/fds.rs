//! Descriptors: closing many, handing them over a socket, sealed memory files.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

/// Marks every descriptor from `first` on to be closed by execve.
pub fn cloexec_from(first: u32) -> io::Result<()> {
    // SAFETY: close_range with CLOEXEC only sets a flag; no descriptor is closed and no memory is touched.
    super::check(unsafe {
        libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
    })?;
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

/// Bytes sent on a unix socket that its peer has not read yet (SIOCOUTQ; unix(7)).
pub fn unread(socket: impl AsFd) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let mut count: libc::c_int = 0;
    // SAFETY: the call writes one int to `count`, which outlives it.
    super::check(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) }.into())?;
    Ok(usize::try_from(count).unwrap_or(0))
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

/// Keeps 0, 1, 2, whatever lies below `first`, and these descriptors, which move to `first` and the following
/// numbers, close-on-exec. Every other descriptor is closed, whoever owns it: this is for a child that will
/// only execute a program or end, and never drops what it inherited.
pub fn keep_only<const N: usize>(first: u32, keep: [OwnedFd; N]) -> io::Result<[OwnedFd; N]> {
    use std::os::fd::{AsRawFd, IntoRawFd};
    let after = first + N as u32;
    // Out of the way of the target numbers first, so that moving one does not run over another.
    let parked: [io::Result<OwnedFd>; N] = keep.map(|fd| {
        rustix::io::fcntl_dupfd_cloexec(&fd, after as RawFd)
            .map(|new| (fd.into_raw_fd(), new).1)
            .map_err(Into::into)
    });
    let mut slot = first as RawFd;
    let moved: [io::Result<OwnedFd>; N] = parked.map(|fd| {
        let fd = fd?;
        // SAFETY: dup3 touches no memory. What it closes at `slot` belongs to an owner that never drops it (see above).
        super::check(unsafe { libc::dup3(fd.as_raw_fd(), slot, libc::O_CLOEXEC) }.into())?;
        slot += 1;
        let _ = fd.into_raw_fd();
        // SAFETY: dup3 made this descriptor just now; nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(slot - 1) })
    });
    // SAFETY: close_range touches no memory. The owners of what it closes never use or drop it (see above).
    super::check(unsafe { libc::syscall(libc::SYS_close_range, after, u32::MAX, 0) })?;
    if let Some(at) = moved.iter().position(Result::is_err) {
        return Err(moved
            .into_iter()
            .nth(at)
            .and_then(Result::err)
            .unwrap_or_else(|| io::ErrorKind::Other.into()));
    }
    Ok(moved.map(|fd| fd.unwrap_or_else(|_| unreachable!("every error was returned above"))))
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
    rustix::fs::fcntl_add_seals(
        &copy,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(copy)
}
