//! A container's root seen from the host, without leaving a mount behind.
//!
//! A running container's is reached through its process. A stopped one's is mounted *detached*: the mount has no place
//! in any namespace, only a descriptor, and is gone with it, whatever happens to us.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use gantry_snapshots::Rootfs;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
};
use rustix::mount::{fsmount, fsopen};

/// What is wanted of the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Opens the root of a container that does not run.
pub(crate) fn of_snapshot(rootfs: &Rootfs, access: Access) -> io::Result<OwnedFd> {
    match rootfs {
        Rootfs::Dir { path, .. } => open_dir(path),
        Rootfs::Overlay { lower, upper, work, options } => {
            let mut layers: Vec<&Path> = lower.iter().map(AsRef::as_ref).collect();
            let writable = match (access, upper, work) {
                (Access::Write, Some(upper), Some(work)) => Some((upper, work)),
                _ => {
                    // For reading, the writable layer is one more layer: no lock on it is taken.
                    if let Some(upper) = upper {
                        layers.insert(0, upper);
                    }
                    None
                }
            };
            if let ([only], None) = (&layers[..], writable) {
                return open_dir(only);
            }
            let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
            set_layers(fs.as_fd(), &layers)?;
            if let Some((upper, work)) = writable {
                fsconfig_set_string(fs.as_fd(), "upperdir", upper)?;
                fsconfig_set_string(fs.as_fd(), "workdir", work)?;
                for option in options {
                    match option.split_once('=') {
                        Some((key, value)) => fsconfig_set_string(fs.as_fd(), key, value)?,
                        None => fsconfig_set_flag(fs.as_fd(), option.as_str())?,
                    }
                }
            }
            fsconfig_create(fs.as_fd())?;
            let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
            Ok(fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
        }
    }
}

fn set_layers(fs: BorrowedFd<'_>, layers: &[&Path]) -> io::Result<()> {
    // One by one on kernels from 6.5, all in one string before.
    let mut each = layers.iter();
    let first = each.next().ok_or(io::ErrorKind::InvalidInput)?;
    match fsconfig_set_string(fs, "lowerdir+", *first) {
        Ok(()) => {
            for layer in each {
                fsconfig_set_string(fs, "lowerdir+", *layer)?;
            }
            Ok(())
        }
        Err(_) => {
            let all: Vec<String> = layers.iter().map(|layer| layer.display().to_string()).collect();
            Ok(fsconfig_set_string(fs, "lowerdir", all.join(":"))?)
        }
    }
}

/// Opens the root of a running container, with everything that is mounted in it.
pub(crate) fn of_process(pid: i32) -> io::Result<OwnedFd> {
    open_dir(Path::new(&format!("/proc/{pid}/root")))
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens a path inside a root: links are followed, but never out of it.
pub(crate) fn open_inside(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.is_empty() { "." } else { path };
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), inside) {
            // The kernel gives up when something is renamed meanwhile.
            Err(rustix::io::Errno::AGAIN) => continue,
            other => return Ok(other?),
        }
    }
}

/// Reads a small file inside a root; an absent one is empty.
pub(crate) fn read_inside(root: BorrowedFd<'_>, path: &str, most: u64) -> io::Result<String> {
    use std::io::Read;
    match open_inside(root, path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Ok(file) => {
            let mut text = Vec::new();
            std::fs::File::from(file).take(most).read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        Err(err) => Err(err),
    }
}

/// Makes a folder and those above it inside a root.
pub(crate) fn make_dirs_inside(root: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    let mut done = String::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let parent = open_inside(root, &done, OFlags::PATH | OFlags::DIRECTORY)?;
        match rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(err) => return Err(err.into()),
        }
        done.push('/');
        done.push_str(part);
    }
    Ok(())
}
