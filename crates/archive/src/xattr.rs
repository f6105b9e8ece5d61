//! Extended attributes by descriptor, and of what cannot be opened by its name below one.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::root::os;

/// The kernel's own limits on a list of names and on a value.
const MAX: usize = 64 << 10;

/// Attributes that speak to the overlay below or to this machine's policy are no part of a tree's contents.
pub(crate) fn is_foreign(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") || name == b"security.selinux"
}

/// A name for `name` in `dir` that does not follow a symlink at its end: the descriptor's place in `/proc`.
pub(crate) fn by_proc(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// Sets an attribute of `name` in `dir`, not following a symlink.
pub fn set(dir: BorrowedFd<'_>, name: &[u8], key: &[u8], value: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::lsetxattr(os(&by_proc(dir, name)), os(key), value, XattrFlags::empty())
}

/// The attributes of `name` in `dir` that belong to the tree: not the overlay's own marks, not this machine's labels. A file
/// system without any has none.
pub fn read(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let path = by_proc(dir, name);
    let mut names = [0u8; 512];
    let listed = match rustix::fs::llistxattr(os(&path), &mut names) {
        Ok(n) => names[..n].to_vec(),
        Err(Errno::RANGE) => {
            let mut large = vec![0; MAX];
            let n = rustix::fs::llistxattr(os(&path), large.as_mut_slice())?;
            large.truncate(n);
            large
        }
        Err(Errno::NOTSUP) => Vec::new(),
        Err(other) => return Err(other),
    };
    let mut found = BTreeMap::new();
    for key in listed.split_inclusive(|b| *b == 0).filter_map(|key| CStr::from_bytes_with_nul(key).ok()) {
        if is_foreign(key.to_bytes()) {
            continue;
        }
        if let Some(value) = get(&path, key.to_bytes())? {
            found.insert(key.to_bytes().to_vec(), value);
        }
    }
    Ok(found)
}

/// One attribute; `None` if it is not there.
pub(crate) fn get(path: &[u8], key: &[u8]) -> rustix::io::Result<Option<Vec<u8>>> {
    let mut value = [0u8; 256];
    match rustix::fs::lgetxattr(os(path), os(key), &mut value) {
        Ok(n) => Ok(Some(value[..n].to_vec())),
        Err(Errno::RANGE) => {
            let mut large = vec![0; MAX];
            let n = rustix::fs::lgetxattr(os(path), os(key), large.as_mut_slice())?;
            large.truncate(n);
            Ok(Some(large))
        }
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Like [`set`], but writes nothing when the attribute is so already. A value may be kept with a NUL at its end.
pub fn set_unless_equal(
    dir: BorrowedFd<'_>,
    name: &[u8],
    key: &[u8],
    value: &[u8],
) -> rustix::io::Result<()> {
    let there = get(&by_proc(dir, name), key)?;
    if there.is_some_and(|there| there.strip_suffix(b"\0").unwrap_or(&there) == value) {
        return Ok(());
    }
    set(dir, name, key, value)
}
