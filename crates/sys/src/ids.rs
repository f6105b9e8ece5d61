//! Users and groups of the calling thread, and its personality.

use std::io;

/// To the kernel this number means "as it is", and to whoever asked for it, somebody else (CVE-2024-40635).
const AS_IT_IS: u32 = u32::MAX;

fn somebody(id: u32) -> io::Result<u32> {
    if id == AS_IT_IS { Err(io::Error::from_raw_os_error(libc::EINVAL)) } else { Ok(id) }
}

/// Real, effective, saved and file system group.
pub fn set_gid(gid: u32) -> io::Result<()> {
    let gid = somebody(gid)?;
    // SAFETY: plain numbers.
    super::check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// Real, effective, saved and file system user.
pub fn set_uid(uid: u32) -> io::Result<()> {
    let uid = somebody(uid)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_stays_who_they_are_by_a_number() {
        for refused in [set_uid(u32::MAX), set_gid(u32::MAX)] {
            assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EINVAL));
        }
    }
}
