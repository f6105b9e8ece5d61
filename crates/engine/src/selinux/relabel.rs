//! A file or tree of the host gets a container's label: `:z`, `:Z`, volumes, the engine's own files.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gantry_archive::xattr;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Context, Selinux};

const ATTRIBUTE: &[u8] = b"security.selinux";

/// What a host needs to itself, as Docker has it.
const NEVER: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/passwd",
    "/etc/pki",
    "/etc/shadow",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/log",
];

/// Who may touch what is labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Every container.
    Shared,
    /// The one whose label it is.
    Private,
}

impl Sharing {
    /// What a mount's mode says: `z` or `Z`.
    pub(crate) fn of_mode(mode: &str) -> Option<Sharing> {
        mode.split(',').find_map(|word| match word {
            "z" => Some(Sharing::Shared),
            "Z" => Some(Sharing::Private),
            _ => None,
        })
    }
}

/// Labels `path` and all below it. A file system without labels is left as it is.
pub(crate) fn relabel(selinux: &Selinux, path: &Path, label: &str, sharing: Sharing) -> io::Result<()> {
    let Some(context) = selinux.applied(label).and_then(|label| Context::parse(&label)) else {
        return Ok(());
    };
    if NEVER.iter().any(|never| path == Path::new(never)) {
        let text = format!("SELinux relabeling of {} is not allowed", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let label = match sharing {
        Sharing::Shared => Context { level: "s0".to_owned(), ..context },
        Sharing::Private => context,
    };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent = rustix::fs::openat(CWD, parent, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty())?;
    Ok(tree(&parent, name.as_bytes(), ATTRIBUTE, label.to_string().as_bytes(), 0)?)
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// Nobody can name what is deeper (PATH_MAX); a container may have made it nevertheless.
const DEPTH_MAX: usize = 2048;

/// From folder to folder by descriptor: a container that changes the tree meanwhile cannot lead the walk out of it.
fn tree(parent: &OwnedFd, name: &[u8], attribute: &[u8], label: &[u8], depth: usize) -> Result<(), Errno> {
    if depth > DEPTH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    give(parent, name, attribute, label)?;
    let folder = match rustix::fs::openat(parent, name, FOLDER, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT | Errno::NXIO) => return Ok(()),
        Err(other) => return Err(other),
    };
    for child in Dir::read_from(&folder)? {
        let child = child?;
        let name = child.file_name().to_bytes();
        match child.file_type() {
            _ if matches!(name, b"." | b"..") => {}
            FileType::Directory | FileType::Unknown => tree(&folder, name, attribute, label, depth + 1)?,
            _ => give(&folder, name, attribute, label)?,
        }
    }
    Ok(())
}

/// What has the label already is not written again; what has gone meanwhile needs none, and what can have none goes without.
fn give(folder: &OwnedFd, name: &[u8], attribute: &[u8], label: &[u8]) -> Result<(), Errno> {
    match xattr::set_unless_equal(folder.as_fd(), name, attribute, label) {
        Err(Errno::NOENT | Errno::NOTSUP) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_say_who_may_touch_it() {
        assert_eq!(Sharing::of_mode("ro,z"), Some(Sharing::Shared));
        assert_eq!(Sharing::of_mode("Z"), Some(Sharing::Private));
        assert_eq!(Sharing::of_mode("ro"), None);
    }

    #[test]
    fn a_tree_is_labelled_to_its_leaves_and_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("top/below")).unwrap();
        std::fs::write(folder.path().join("top/below/file"), "x").unwrap();
        let parent = rustix::fs::open(folder.path(), OFlags::RDONLY, Mode::empty()).unwrap();
        for label in ["one:s0:c1,c2", "two:s0", "two:s0"] {
            tree(&parent, b"top", b"user.label", label.as_bytes(), 0).unwrap();
            let mut value = [0; 64];
            let n = rustix::fs::lgetxattr(folder.path().join("top/below/file"), "user.label", &mut value)
                .unwrap();
            assert_eq!(&value[..n], label.as_bytes());
        }
    }

    #[test]
    fn without_selinux_nothing_is_touched() {
        relabel(&Selinux::Off, Path::new("/"), "a:b:c:s0", Sharing::Private).unwrap();
    }
}
