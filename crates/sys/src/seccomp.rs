//! Installing a compiled seccomp filter: seccomp(2).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// One instruction of classic BPF, as the kernel reads it (`struct sock_filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

#[repr(C)]
struct Program {
    len: u16,
    filter: *const Instruction,
}

/// `SECCOMP_FILTER_FLAG_TSYNC`.
pub const TSYNC: u64 = 1;
/// `SECCOMP_FILTER_FLAG_LOG`.
pub const LOG: u64 = 2;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`.
pub const SPEC_ALLOW: u64 = 4;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`: the call answers a notify descriptor.
pub const NEW_LISTENER: u64 = 8;
/// `SECCOMP_FILTER_FLAG_TSYNC_ESRCH`.
pub const TSYNC_ESRCH: u64 = 16;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`.
pub const WAIT_KILLABLE_RECV: u64 = 32;

/// Puts the filter on the calling process for ever; with [`NEW_LISTENER`] answers the notify descriptor.
///
/// Needs no_new_privs or CAP_SYS_ADMIN.
pub fn install(program: &[Instruction], flags: u64) -> io::Result<Option<OwnedFd>> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let prog = Program { len, filter: program.as_ptr() };
    // SAFETY: `prog` describes the slice, which lives across the call; the kernel copies and checks it.
    let answer = super::check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const prog)
    })?;
    if flags & NEW_LISTENER == 0 {
        return match answer {
            0 => Ok(None),
            // With TSYNC the number of a thread that could not be brought along.
            thread => Err(io::Error::other(format!("thread {thread} could not take the seccomp filter"))),
        };
    }
    // SAFETY: with NEW_LISTENER a success answers a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(answer as i32) }))
}

/// Whether this kernel knows the action (`SECCOMP_RET_*`).
pub fn knows_action(action: u32) -> bool {
    // SAFETY: SECCOMP_GET_ACTION_AVAIL reads one u32.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    answer == 0
}
