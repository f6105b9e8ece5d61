//! Signals: a clean slate for a child, and signalfd(2) for whoever waits.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: a sigset_t is a plain array of bits; all zeroes is a valid one.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    for &signal in signals {
        // SAFETY: `set` is a valid set; an impossible number only makes the call fail.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

/// Blocks nothing and gives every signal its default action again: what a fresh program expects
/// (the Rust start-up code ignores SIGPIPE, and that would be inherited over execve).
pub fn reset() -> io::Result<()> {
    let none = set_of(&[]);
    // SAFETY: SIG_SETMASK reads one set and writes none.
    let set = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
    super::check(set.into())?;
    // All zeroes is the default action without a mask. The C library's own call refuses two of the numbers.
    let default = [0u64; 4];
    for signal in (1..=64).filter(|s| *s != libc::SIGKILL && *s != libc::SIGSTOP) {
        // SAFETY: the kernel's sigaction is at most 32 bytes on our architectures and is only read.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null_mut::<u8>(), 8)
        };
    }
    Ok(())
}

/// Blocks these signals in the calling thread.
pub fn block(signals: &[i32]) -> io::Result<()> {
    let set = set_of(signals);
    // SAFETY: SIG_BLOCK reads one set and writes none.
    let done = unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    super::check(done.into()).map(drop)
}

/// Blocked signals, read from a descriptor.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

/// One signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub signal: i32,
    /// Who sent it, or whose end it tells.
    pub pid: i32,
}

impl SignalFd {
    /// Blocks the signals and collects them. Reading does not block.
    pub fn new(signals: &[i32]) -> io::Result<SignalFd> {
        block(signals)?;
        let set = set_of(signals);
        // SAFETY: a new descriptor is asked for (-1) with a valid set.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        super::check(fd.into())?;
        // SAFETY: the call succeeded: a new descriptor that nobody else owns.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal, if one waits.
    pub fn read(&self) -> io::Result<Option<Received>> {
        // SAFETY: signalfd_siginfo is plain numbers; all zeroes is a valid one.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer is `size` bytes of plain numbers, and any bytes are a valid value of it.
        let got = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size) };
        if got < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        }
        Ok(Some(Received { signal: info.ssi_signo as i32, pid: info.ssi_pid as i32 }))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends any signal number, real-time ones too, through a pidfd.
pub fn send(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: the signal is a plain number and no siginfo is given.
    super::check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, std::ptr::null::<u8>(), 0) })
        .map(drop)
}

/// Sends any signal number to a process by its number.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: plain numbers.
    super::check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}
