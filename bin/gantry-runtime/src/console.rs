//! The terminal's master: sent to `--console-socket`, or served here with our own terminal.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// One message with the master, as runc sends it: the bytes are a name for people.
pub fn send(socket: &Path, master: &OwnedFd) -> Result<()> {
    let doing = || format!("sending the terminal to {}", socket.display());
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .with_context(doing)?;
    connect(&fd, &SocketAddrUnix::new(socket).with_context(doing)?).with_context(doing)?;
    gantry_sys::fds::send(&fd, b"/dev/ptmx", &[master.as_fd()]).with_context(doing)
}

/// Our own terminal in raw mode, and as it was once this is dropped.
#[derive(Debug)]
pub struct Raw(Option<Termios>);

impl Raw {
    pub fn enter() -> Raw {
        let stdin = std::io::stdin();
        let Ok(before) = tcgetattr(&stdin) else { return Raw(None) };
        let mut raw = before.clone();
        raw.make_raw();
        // Not being able to change a terminal leaves it as it is, usable.
        let _ = tcsetattr(&stdin, OptionalActions::Now, &raw);
        Raw(Some(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Gives the container's terminal the size of ours.
pub fn copy_size(master: &OwnedFd) {
    if let Ok(size) = tcgetwinsize(std::io::stdin()) {
        // A size that is not taken is the one before.
        let _ = tcsetwinsize(master, size);
    }
}

/// Moves what is there to read; `false` at the end.
pub fn pass(from: impl AsFd, to: &mut impl Write) -> bool {
    let mut buffer = [0u8; 16 * 1024];
    match rustix::io::read(from, &mut buffer) {
        Ok(0) | Err(rustix::io::Errno::IO) => false,
        Ok(n) => to.write_all(&buffer[..n]).and_then(|()| to.flush()).is_ok(),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
        Err(_) => false,
    }
}

/// A file to read and write the master by.
pub fn file(master: &OwnedFd) -> Result<std::fs::File> {
    Ok(master.try_clone().context("serving the terminal")?.into())
}

/// Reads everything that is left without waiting for more.
pub fn drain(master: &OwnedFd, to: &mut impl Write) {
    if rustix::io::ioctl_fionbio(master, true).is_err() {
        return;
    }
    if let Ok(mut file) = file(master) {
        let mut rest = Vec::new();
        // The end of a terminal is an error (EIO), and what was read before it counts.
        let _ = file.read_to_end(&mut rest);
        let _ = to.write_all(&rest).and_then(|()| to.flush());
    }
}
