//! Mounts that are in no mount namespace: made with the new mount API, seen only through their descriptor, gone with it.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
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

/// Lets what is written into `dirs`, which are empty, be `size` bytes at most, by a project quota of their file system.
pub(crate) fn keep_below(size: u64, dirs: &[&Path]) -> Result<()> {
    // A file system may count without holding anybody back: only its mount options say that it does.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if !dirs.iter().all(|dir| holds_back(&mounts, dir)) {
        return Err(Error::NoQuota);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut project = None;
    for dir in dirs {
        let fd = rustix::fs::open(*dir, flags, Mode::empty()).map_err(Error::io("opening", dir))?;
        let inode = rustix::fs::fstat(&fd).map_err(Error::io("reading", dir))?.st_ino;
        // The first directory's inode names the project: no other snapshot of the file system has it. A part of it might be
        // another's, or 0, which is everything that has no project.
        let project = match project {
            Some(project) => project,
            None => *project.insert(u32::try_from(inode).map_err(|_| Error::Unsupported {
                driver: "overlay",
                what: format!("a size: inode {inode} is too large to name a project quota"),
            })?),
        };
        gantry_sys::quota::limit(fd.as_fd(), project, size).map_err(Error::io("limiting", dir))?;
        gantry_sys::quota::set_project(fd.as_fd(), project).map_err(Error::io("limiting", dir))?;
    }
    Ok(())
}

/// Whether the mount that holds `dir` was made with project quotas.
fn holds_back(mountinfo: &str, dir: &Path) -> bool {
    let mounts = mountinfo.lines().filter_map(|line| {
        let point = line.split(' ').nth(4)?;
        let options = line.rsplit(' ').next()?;
        dir.starts_with(point).then_some((point.len(), options))
    });
    // Of two on one place the later one counts.
    let options = mounts.max_by_key(|(length, _)| *length).map_or("", |(_, options)| options);
    options.split(',').any(|option| matches!(option, "prjquota" | "pquota"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mount_that_holds_a_folder_says_whether_it_holds_back() {
        let mounts = "20 1 8:1 / / rw,relatime - ext4 /dev/a rw,prjquota\n\
                      21 20 7:0 / /data rw - xfs /dev/loop0 rw,attr2,noquota\n\
                      22 21 7:1 / /data/small rw shared:3 - xfs /dev/loop1 rw,inode64,prjquota\n";
        let asked = |dir: &str| holds_back(mounts, Path::new(dir));
        assert_eq!([asked("/data/x"), asked("/data/small/x"), asked("/elsewhere")], [false, true, true]);
    }
}
