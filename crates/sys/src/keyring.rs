//! keyctl(2): a session keyring of one's own, so that a container does not see the host's keys.

use std::ffi::CStr;
use std::io;

/// Makes and joins a new session keyring of that name; answers its serial number.
pub fn join_new_session(name: &CStr) -> io::Result<i32> {
    // SAFETY: the name is null-terminated and only read.
    let id =
        unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr(), 0, 0, 0) };
    super::check(id).map(|id| id as i32)
}
