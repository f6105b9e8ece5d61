//! Paths that a container sees empty, and paths that it may only read.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::error::Step;
use crate::inside::{self, Inside};
use crate::{Error, Result, mount_api, options, process};

/// Below these the kernel has no links that could be meant, and an image's links must not lead a mask astray.
fn find(inside: &Inside<'_>, path: &Path) -> std::result::Result<Option<OwnedFd>, Errno> {
    let kernels = path.starts_with("/proc") || path.starts_with("/sys");
    let found = if kernels { inside.find_plain(path) } else { inside.find(path) };
    match found {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e),
    }
}

pub(crate) fn read_only(inside: &Inside<'_>, paths: &[String]) -> Result<()> {
    for path in paths {
        let doing = || format!("error making {path} read-only");
        let Some(target) = find(inside, absolute(path)?).step(doing)? else { continue };
        let copy = mount_api::copy_of_fd(&target, true).step(doing)?;
        mount_api::change(copy.as_fd(), options::RDONLY, 0, true).step(doing)?;
        mount_api::attach(&copy, &target).step(doing)?;
    }
    Ok(())
}

/// A file is covered by the host's real null device, a folder by an empty read-only tmpfs; one of each is made and
/// copied. The device is shown read-only: data may still be written to it, but its owner, mode and times, which are the
/// host's, are nobody's to change in here.
pub(crate) fn hide(inside: &Inside<'_>, paths: &[String], label: Option<&str>) -> Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    let null = inside::host_null().step(|| "opening the host's /dev/null")?;
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let doing = || format!("can't mask path \"{path}\"");
        let Some(target) = find(inside, absolute(path)?).step(doing)? else { continue };
        if inside::kind(&target).step(doing)? == FileType::Directory {
            match &empty {
                Some(attached) => {
                    let copy = mount_api::copy_of_fd(attached, false).step(doing)?;
                    mount_api::attach(&copy, &target).step(doing)?;
                }
                // The first is attached itself: before Linux 6.15 only what is attached can be copied.
                None => {
                    let made = empty_folder(label).step(doing)?;
                    mount_api::attach(&made, &target).step(doing)?;
                    empty = Some(made);
                }
            }
        } else {
            let copy = mount_api::copy_of_fd(&null, false).step(doing)?;
            mount_api::change(copy.as_fd(), options::RDONLY, 0, false).step(doing)?;
            mount_api::attach(&copy, &target).step(doing)?;
        }
    }
    Ok(())
}

fn empty_folder(label: Option<&str>) -> std::result::Result<OwnedFd, Errno> {
    let label = label.filter(|l| !l.is_empty() && process::has_selinux());
    let data: Vec<String> = label.map(|label| format!("context={label}")).into_iter().collect();
    mount_api::new("tmpfs", Some("tmpfs"), &data, options::RDONLY)
}

fn absolute(path: &str) -> Result<&Path> {
    match path.starts_with('/') {
        true => Ok(Path::new(path)),
        false => Err(Error::InvalidSpec(format!("masked and read-only paths must be absolute: {path}"))),
    }
}
