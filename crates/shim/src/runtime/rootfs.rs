//! The root of a foreign runtime's container.
//!
//! Such a runtime wants a root that is mounted already. So that the host never sees the mount (and nothing of it is left
//! after a crash), the keeper mounts it in a mount namespace of its own, which the runtime inherits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gantry_shim_protocol::{Failure, RootMount, bundle};
use gantry_sys::overlay::Overlay;
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_bind_recursive, mount_change,
    mount_remount, move_mount,
};

use rustix::thread::UnshareFlags;

use super::{failure, not_understood};

/// Mounts the root; where it is, unless the spec's own path is right as it is.
pub(super) fn mount(bundle: &Path, root: &RootMount) -> Result<Option<PathBuf>, Failure> {
    if *root == RootMount::Path {
        return Ok(None);
    }
    let at = bundle.join(bundle::ROOTFS);
    let mounted = || -> io::Result<()> {
        fs::create_dir_all(&at)?;
        own_namespace(bundle)?;
        put(root, &at)
    };
    mounted().map_err(|err| failure("mount the container's root", &err))?;
    Ok(Some(at))
}

/// Mounts it at a folder.
pub(super) fn put(root: &RootMount, at: &Path) -> io::Result<()> {
    match root {
        RootMount::Overlay { lower, upper, work, options } => overlay(at, lower, upper, work, options),
        RootMount::Dir { path, read_only } => {
            mount_bind_recursive(path, at)?;
            if *read_only {
                mount_remount(at, MountFlags::BIND | MountFlags::RDONLY, c"")?;
            }
            Ok(())
        }
        RootMount::Path => Ok(()),
    }
}

/// Takes away what [`mount`] has put there. Without our mount there is nothing but an empty folder, or nothing.
pub(super) fn unmount(bundle: &Path, root: &RootMount) {
    if *root == RootMount::Path {
        return;
    }
    let at = bundle.join(bundle::ROOTFS);
    let _ = rustix::mount::unmount(&at, UnmountFlags::DETACH);
    // It fails when it holds anything, and then it is not ours.
    let _ = fs::remove_dir(&at);
}

/// A mount namespace in which what is mounted in the bundle stays ours; everywhere else mounts still come and go with the
/// host's, as shared volumes need.
pub(super) fn own_namespace(bundle: &Path) -> io::Result<()> {
    gantry_sys::clone::unshare(UnshareFlags::NEWNS.bits())?;
    for folder in bundle.ancestors() {
        match mount_change(folder, MountPropagationFlags::PRIVATE) {
            // Not a mount point: the one that holds it is further up.
            Err(rustix::io::Errno::INVAL) => {}
            other => return Ok(other?),
        }
    }
    Ok(())
}

fn overlay(
    at: &Path,
    lower: &[PathBuf],
    upper: &Option<PathBuf>,
    work: &Option<PathBuf>,
    options: &[String],
) -> io::Result<()> {
    let lower: Vec<&Path> = lower.iter().map(PathBuf::as_path).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let upper = upper.as_deref().zip(work.as_deref());
    let tree = Overlay { lower: &lower, upper, options: &options, attributes: 0 }.detached()?;
    Ok(move_mount(&tree, c"", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Makes `root.path` in `config.json` say where the root is.
pub(super) fn point_spec_to(bundle: &Path, root: &Path) -> Result<(), Failure> {
    let path = bundle.join(bundle::CONFIG);
    let text = fs::read(&path).map_err(|err| failure("read config.json", &err))?;
    let mut spec: serde_json::Value =
        serde_json::from_slice(&text).map_err(|err| not_understood("config.json", &err))?;
    if !spec["root"].is_object() {
        spec["root"] = serde_json::json!({});
    }
    spec["root"]["path"] = serde_json::json!(root);
    fs::write(&path, spec.to_string()).map_err(|err| failure("write config.json", &err))
}
