//! Images that a container mounts beside its root.
//!
//! They are mounted below the bundle in a mount namespace of the keeper's own, and the spec's mounts bind them from there:
//! one road for every runtime, and nothing is left on the host after a crash.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_shim_protocol::{Failure, ImageMount};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::mount::{UnmountFlags, mount_bind};

use super::{failure, rootfs};

/// Mounts them all.
pub(super) fn mount(bundle: &Path, images: &[ImageMount]) -> Result<(), Failure> {
    if images.is_empty() {
        return Ok(());
    }
    rootfs::own_namespace(bundle).map_err(|err| failure("make the images' mount namespace", &err))?;
    images.iter().try_for_each(|image| {
        let what = || match image.subpath.as_str() {
            "" => "mount an image".to_owned(),
            subpath => format!("cannot access path {subpath} of the image"),
        };
        mount_one(bundle, image).map_err(|err| failure(&what(), &err))
    })
}

fn mount_one(bundle: &Path, image: &ImageMount) -> io::Result<()> {
    let (at, whole) = places(bundle, image);
    fs::create_dir_all(&whole)?;
    rootfs::put(&image.root, &whole)?;
    if at == whole {
        return Ok(());
    }
    let wanted = inside(&whole, &image.subpath)?;
    match FileType::from_raw_mode(rustix::fs::fstat(&wanted)?.st_mode) {
        FileType::Directory => fs::create_dir_all(&at)?,
        _ => drop(fs::File::create(&at)?),
    }
    Ok(mount_bind(format!("/proc/self/fd/{}", wanted.as_raw_fd()), &at)?)
}

/// Where the spec finds it, and where all of it is mounted.
fn places(bundle: &Path, image: &ImageMount) -> (PathBuf, PathBuf) {
    let at = bundle.join(&image.name);
    match image.subpath.is_empty() {
        true => (at.clone(), at),
        false => (at, bundle.join(format!("{}.whole", image.name))),
    }
}

/// A path of the image, whose links cannot lead out of it.
fn inside(root: &Path, subpath: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, root, flags | OFlags::DIRECTORY, Mode::empty())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(&root, subpath, flags, Mode::empty(), resolve)?)
}

/// Takes away what [`mount`] has put there, as far as it is there.
pub(super) fn unmount(bundle: &Path, images: &[ImageMount]) {
    for image in images {
        let (at, whole) = places(bundle, image);
        for place in [at, whole] {
            // What is not mounted, or went with its namespace, is only an empty folder or file; the bundle goes as a whole.
            let _not_mounted = rustix::mount::unmount(&place, UnmountFlags::DETACH);
        }
    }
}
