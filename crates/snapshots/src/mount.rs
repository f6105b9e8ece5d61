//! Mounts that are in no mount namespace: made with the new mount API, seen only through their descriptor, gone with it.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::{Error, Result, Rootfs};

/// The longest option value the kernel copies.
const MAX_VALUE: usize = 255;

/// Mounts a root file system on nothing; the descriptor is its root.
pub(crate) fn detached(rootfs: &Rootfs) -> Result<OwnedFd> {
    match rootfs {
        Rootfs::Dir { path, .. } => clone_of(path),
        Rootfs::Overlay { lower, upper, work, options } => {
            let at = lower.first().map_or(Path::new("/"), |path| path.as_path());
            overlay(lower, upper.as_deref(), work.as_deref(), options)
                .map_err(Error::io("mounting overlay of", at))
        }
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

fn overlay(
    lower: &[std::path::PathBuf],
    upper: Option<&Path>,
    work: Option<&Path>,
    options: &[String],
) -> rustix::io::Result<OwnedFd> {
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for option in options {
        match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(&fs, key, value)?,
            None => fsconfig_set_flag(&fs, option.as_str())?,
        }
    }
    for path in lower {
        match fsconfig_set_string(&fs, "lowerdir+", path) {
            Ok(()) => {}
            // Before 6.5 all layers stand in one value.
            Err(Errno::INVAL) => {
                fsconfig_set_string(&fs, "lowerdir", joined(lower)?)?;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    for (key, dir) in [("upperdir", upper), ("workdir", work)] {
        if let Some(dir) = dir {
            fsconfig_set_string(&fs, key, dir)?;
        }
    }
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

fn joined(lower: &[std::path::PathBuf]) -> rustix::io::Result<String> {
    let parts: Option<Vec<&str>> = lower.iter().map(|path| path.to_str()).collect();
    let text = parts
        .ok_or(Errno::INVAL)?
        .iter()
        .map(|part| part.replace('\\', "\\\\").replace(':', "\\:"))
        .collect::<Vec<_>>();
    let text = text.join(":");
    if text.len() > MAX_VALUE { Err(Errno::NAMETOOLONG) } else { Ok(text) }
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
