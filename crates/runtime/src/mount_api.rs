//! Mounts that are made whole before they are attached: fsopen, open_tree, mount_setattr, move_mount.
//! (linux 5.12; there are no paths to race for between making and attaching.)

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use gantry_sys::mount::{Attributes, set_attributes};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

const EMPTY: &CStr = c"";

/// A new file system, not attached anywhere yet.
pub(crate) fn new(
    kind: &str,
    source: Option<&str>,
    data: &[impl AsRef<str>],
    attributes: u64,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if let Some(source) = source {
        fsconfig_set_string(&context, "source", source)?;
    }
    for option in data {
        match option.as_ref().split_once('=') {
            Some((key, value)) => fsconfig_set_string(&context, key, value)?,
            None => fsconfig_set_flag(&context, option.as_ref())?,
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::from_bits_retain(attributes as u32))
}

/// A copy of the mount (or of the whole tree of them) that a path names.
pub(crate) fn copy_of(path: &Path, recursive: bool) -> Result<OwnedFd, Errno> {
    open_tree(CWD, path, copy_flags(recursive))
}

/// A copy of the mount behind a descriptor, from there on.
pub(crate) fn copy_of_fd(fd: impl AsFd, recursive: bool) -> Result<OwnedFd, Errno> {
    open_tree(fd, EMPTY, copy_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH)
}

fn copy_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Puts the mount on what `target` is open on.
pub(crate) fn attach(mount: impl AsFd, target: impl AsFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, EMPTY, target, EMPTY, flags)
}

/// Puts the mount on a path of the caller's own.
pub(crate) fn attach_at(mount: impl AsFd, path: &Path) -> Result<(), Errno> {
    move_mount(mount, EMPTY, CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Sets and clears `MOUNT_ATTR_*`.
pub(crate) fn change(mount: BorrowedFd<'_>, set: u64, clear: u64, recursive: bool) -> std::io::Result<()> {
    if set | clear == 0 {
        return Ok(());
    }
    set_attributes(mount, EMPTY, recursive, Attributes { set, clear, ..Default::default() })
}

/// Sets the propagation (`options::SLAVE` and its like).
pub(crate) fn propagate(mount: BorrowedFd<'_>, propagation: u64, recursive: bool) -> std::io::Result<()> {
    set_attributes(mount, EMPTY, recursive, Attributes { propagation, ..Default::default() })
}
