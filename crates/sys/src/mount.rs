//! mount_setattr(2): attributes of a whole tree of mounts at once, and idmapped mounts.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `MOUNT_ATTR_*` bits and propagation (`MS_SHARED` and its like, or 0).
#[derive(Debug, Default, Clone, Copy)]
pub struct Attributes<'fd> {
    pub set: u64,
    pub clear: u64,
    pub propagation: u64,
    /// The user namespace whose maps an idmapped mount takes.
    pub user_namespace: Option<BorrowedFd<'fd>>,
}

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Changes the mount that `dir` and `path` name (an empty path is `dir` itself), and with `recursive` every one below.
pub fn set_attributes(
    dir: BorrowedFd<'_>,
    path: &CStr,
    recursive: bool,
    ask: Attributes<'_>,
) -> io::Result<()> {
    let mut attr =
        MountAttr { attr_set: ask.set, attr_clr: ask.clear, propagation: ask.propagation, userns_fd: 0 };
    if let Some(fd) = ask.user_namespace {
        attr.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attr.userns_fd = fd.as_raw_fd() as u64;
    }
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is null-terminated, `attr` is a mount_attr of the size told; both are only read.
    super::check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })?;
    Ok(())
}
