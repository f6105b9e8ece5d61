//! clone3(2): a new process in new namespaces, with its pidfd, born inside a cgroup.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// What clone3 is told. Namespaces are `libc::CLONE_NEW*` bits.
#[derive(Debug, Default, Clone, Copy)]
pub struct Clone<'fd> {
    /// `CLONE_NEW*` and `CLONE_PARENT`; sharing flags are refused.
    pub flags: u64,
    /// A cgroup version 2 folder in which the child is born.
    pub cgroup: Option<BorrowedFd<'fd>>,
}

/// Who the caller is, after [`clone3`].
#[derive(Debug)]
pub enum Cloned {
    Parent { pid: i32, pidfd: OwnedFd },
    Child,
}

/// What may be asked: only what gives the child something of its own. Sharing memory or descriptors with
/// the child would break the ownership rules that the rest of the program relies on.
const ALLOWED: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_PARENT
    | libc::CLONE_NEWTIME) as u64;

/// `CLONE_INTO_CGROUP`, wider than the constant of the libc crate.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Makes a child with a copy of everything, as fork(2) does, and answers twice.
///
/// The caller must have one thread: a lock held by another thread (the allocator's) would stay held for ever
/// in the child. A process with more threads is refused.
pub fn clone3(ask: Clone<'_>) -> io::Result<Cloned> {
    if ask.flags & !ALLOWED != 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if !single_threaded()? {
        return Err(io::Error::other("a process with several threads may not clone into namespaces"));
    }
    let mut pidfd: libc::c_int = -1;
    let mut args = libc::clone_args {
        flags: ask.flags | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: if ask.flags & libc::CLONE_PARENT as u64 != 0 { 0 } else { libc::SIGCHLD as u64 },
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(fd) = ask.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = fd.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid clone_args of the size told. Neither CLONE_VM, CLONE_FILES, CLONE_THREAD nor a stack is asked
    // for, so the child has a copy of this memory and goes on from here like after fork(2); the process has a single
    // thread, so no lock is held by somebody who does not exist in the child.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match super::check(pid)? {
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: in the parent, clone3 succeeded with CLONE_PIDFD: the kernel stored a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Cloned::Parent { pid: pid as i32, pidfd })
        }
    }
}

/// Moves the calling thread into new namespaces (`CLONE_NEW*` bits; nothing that unshares descriptors or memory).
pub fn unshare(namespaces: u32) -> io::Result<()> {
    if u64::from(namespaces) & !(ALLOWED & !(libc::CLONE_PARENT as u64)) != 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: only namespaces are left behind; descriptors and memory stay shared as they were.
    super::check(unsafe { libc::unshare(namespaces as libc::c_int) }.into()).map(drop)
}

/// How long a thread that has been joined may stay in the kernel's list: who joins is woken before it is taken off.
const LETTING_GO: Duration = Duration::from_millis(500);

/// The kernel keeps one folder for each thread; a link count of 3 is one of them.
fn single_threaded() -> io::Result<bool> {
    let deadline = Instant::now() + LETTING_GO;
    while rustix::fs::stat("/proc/self/task")?.st_nlink > 3 {
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(true)
}

/// The child's end when something failed: no destructor, no exit handler of the parent runs twice.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any value, touches no memory of ours and does not return.
    unsafe { libc::_exit(code) }
}
