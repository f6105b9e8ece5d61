//! The root of a foreign runtime's container.
//!
//! Such a runtime wants a root that is mounted already. So that the host never sees the mount (and nothing of it is left
//! after a crash), the keeper mounts it in a mount namespace of its own, which the runtime inherits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gantry_shim_protocol::{Failure, RootMount, bundle};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount_bind_recursive, mount_change, mount_remount,
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
        match root {
            RootMount::Overlay { lower, upper, work, options } => overlay(&at, lower, upper, work, options),
            RootMount::Dir { path, read_only } => {
                mount_bind_recursive(path, &at)?;
                if *read_only {
                    mount_remount(&at, MountFlags::BIND | MountFlags::RDONLY, c"")?;
                }
                Ok(())
            }
            RootMount::Path => Ok(()),
        }
    };
    mounted().map_err(|err| failure("mount the container's root", &err))?;
    Ok(Some(at))
}

/// Takes away what [`mount`] has put there. Without our mount there is nothing but an empty folder, or nothing.
pub(crate) fn unmount(bundle: &Path, root: &RootMount) {
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
fn own_namespace(bundle: &Path) -> io::Result<()> {
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
    let escape = |path: &Path| {
        path.display().to_string().replace('\\', "\\\\").replace(',', "\\,").replace(':', "\\:")
    };
    let lower: Vec<String> = lower.iter().map(|path| escape(path)).collect();
    let mut data = format!("lowerdir={}", lower.join(":"));
    for (name, path) in [("upperdir", upper), ("workdir", work)] {
        if let Some(path) = path {
            data.push_str(&format!(",{name}={}", escape(path)));
        }
    }
    for option in options {
        data.push(',');
        data.push_str(option);
    }
    let data = std::ffi::CString::new(data)?;
    rustix::mount::mount("overlay", at, "overlay", MountFlags::empty(), data.as_c_str())?;
    Ok(())
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
