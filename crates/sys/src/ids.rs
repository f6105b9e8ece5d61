//! Users and groups of the calling thread, and its personality.

use std::io;

/// Real, effective, saved and file system group.
pub fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: plain numbers.
    super::check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// Real, effective, saved and file system user.
pub fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: plain numbers.
    super::check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// The supplementary groups.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer and the length describe the slice; the kernel only reads.
    super::check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// personality(2).
pub fn personality(persona: u32) -> io::Result<()> {
    // SAFETY: a plain number.
    super::check(unsafe { libc::syscall(libc::SYS_personality, persona) }).map(drop)
}
