//! `/sys/fs/cgroup` of the container: version 2 as one mount, version 1 as a tmpfs with a folder for each hierarchy.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, mkdirat, symlinkat};

use super::Birth;
use super::mount::target;
use crate::error::Step;
use crate::inside::Inside;
use crate::mounts::Planned;
use crate::{Error, Result, mount_api, namespaces, options};

pub(crate) fn attach(inside: &Inside<'_>, planned: &Planned<'_>, birth: &Birth<'_>) -> Result<()> {
    let destination = planned.mount.destination.as_path();
    let doing = || format!("error mounting \"cgroup\" to rootfs at \"{}\"", destination.display());
    let target = target(inside, destination, true).step(doing)?;
    let attributes = planned.options.set | planned.options.set_recursive;
    let own_namespace = (birth.namespaces.new | birth.namespaces.joined()) & namespaces::CGROUP != 0;
    if birth.host.is_unified() {
        let mount = match mount_api::new("cgroup2", Some("cgroup"), &[] as &[&str], attributes) {
            Ok(mount) => mount,
            // In a user namespace without a cgroup namespace of its own.
            Err(rustix::io::Errno::PERM | rustix::io::Errno::BUSY) => bind(birth, "", attributes)?,
            Err(e) => return Err(Error::setup(doing(), e)),
        };
        return mount_api::attach(&mount, &target).step(doing);
    }
    let data = ["mode=755"];
    let tmpfs = mount_api::new("tmpfs", Some("tmpfs"), &data, attributes & !options::RDONLY).step(doing)?;
    for hierarchy in &birth.host.v1 {
        let name = hierarchy.mount.file_name().map(Path::new).unwrap_or_else(|| Path::new("cgroup"));
        mkdirat(&tmpfs, name, Mode::from_raw_mode(0o755)).step(doing)?;
        for alias in hierarchy.controllers.iter().filter(|c| Path::new(c) != name && !c.contains('=')) {
            symlinkat(name, &tmpfs, alias.as_str()).step(doing)?;
        }
    }
    // Nothing can be attached to what is not attached itself.
    mount_api::attach(&tmpfs, &target).step(doing)?;
    for hierarchy in &birth.host.v1 {
        let name = hierarchy.mount.file_name().map(Path::new).unwrap_or_else(|| Path::new("cgroup"));
        let mount = match own_namespace {
            true => {
                mount_api::new("cgroup", Some("cgroup"), &hierarchy.controllers, attributes).step(doing)?
            }
            false => bind(birth, &hierarchy.controllers[0], attributes)?,
        };
        let place = inside_of(&tmpfs, name).step(doing)?;
        mount_api::attach(&mount, &place).step(doing)?;
    }
    mount_api::change(tmpfs.as_fd(), attributes & options::RDONLY, 0, false).step(doing)
}

/// The container's own folder, seen as a whole hierarchy.
fn bind(birth: &Birth<'_>, controller: &str, attributes: u64) -> Result<OwnedFd> {
    let folder = birth.cgroup.folder(controller).unwrap_or(Path::new("/sys/fs/cgroup"));
    let doing = || format!("showing the cgroup {}", folder.display());
    let tree = mount_api::copy_of(folder, false).step(doing)?;
    mount_api::propagate(tree.as_fd(), options::SLAVE, true).step(doing)?;
    mount_api::change(tree.as_fd(), attributes, 0, false).step(doing)?;
    Ok(tree)
}

fn inside_of(folder: &OwnedFd, name: &Path) -> std::result::Result<OwnedFd, rustix::io::Errno> {
    use rustix::fs::OFlags;
    rustix::fs::openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}
