//! Mounts that are in no mount namespace: made with the new mount API, seen only through their descriptor, gone with it.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use gantry_sys::overlay::Overlay;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use crate::{Error, Result, Rootfs};

/// What is wanted of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading alone: takes no lock on the writable layer, which may be in use.
    Read,
    /// Writing as well.
    Write,
}

impl Rootfs {
    /// Mounts the root file system on nothing: it goes with the descriptor, whatever happens to us.
    pub fn open(&self, access: Access) -> Result<OwnedFd> {
        let (lower, upper, work, options) = match self {
            Rootfs::Dir { path, .. } => return clone_of(path),
            Rootfs::Overlay { lower, upper, work, options } => (lower, upper, work, options),
        };
        let mut layers: Vec<&Path> = lower.iter().map(PathBuf::as_path).collect();
        let at = layers.first().copied().unwrap_or(Path::new("/"));
        let mut upper = upper.as_deref().zip(work.as_deref());
        if access == Access::Read
            && let Some((own, _)) = upper.take()
        {
            layers.insert(0, own);
        }
        if let ([only], None) = (layers.as_slice(), upper) {
            return clone_of(only);
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let overlay = Overlay { lower: &layers, upper, options: &options, attributes: 0 };
        overlay.detached().map_err(Error::io("mounting overlay of", at))
    }
}

/// A detached copy of the mount that shows the directory `path`, beginning there.
pub(crate) fn clone_of(path: &Path) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(rustix::fs::CWD, path, flags).map_err(Error::io("opening", path))
}

/// Puts a detached mount on a directory or file of another one (Linux 6.15).
pub(crate) fn attach(mount: &OwnedFd, on: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", on, "", flags)
}

/// Writes everything of the file system that holds `dir` to the disk.
pub(crate) fn sync(dir: &Path) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, Mode::empty()).map_err(Error::io("opening", dir))?;
    rustix::fs::syncfs(&fd).map_err(Error::io("syncing", dir))
}

/// The name of the file system that holds `dir`, as `docker info` prints it.
pub(crate) fn filesystem(dir: &Path) -> String {
    let known = rustix::fs::statfs(dir).map(|stat| stat.f_type);
    let name = match known {
        Ok(0xef53) => "extfs",
        Ok(0x5846_5342) => "xfs",
        Ok(0x9123_683e) => "btrfs",
        Ok(0x0102_1994) => "tmpfs",
        Ok(0x794c_7630) => "overlayfs",
        Ok(0x2fc1_2fc1) => "zfs",
        Ok(0xf2f5_2010) => "f2fs",
        _ => "<unknown>",
    };
    name.to_owned()
}

/// Why a size cannot be kept on the file system that holds `dir`.
pub(crate) fn no_quota(dir: &Path) -> Error {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let quota = mounts.lines().any(|line| {
        let point = line.split(' ').nth(4).unwrap_or("/none");
        line.contains(" - xfs ")
            && (line.contains("pquota") || line.contains("prjquota"))
            && dir.starts_with(point)
    });
    if quota {
        return Error::Unsupported {
            driver: "overlay",
            what: "xfs project quotas are not written by this build".to_owned(),
        };
    }
    Error::NoQuota
}
