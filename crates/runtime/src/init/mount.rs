//! One mount of the configuration, attached inside the root.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::copy_up;
use crate::error::Step;
use crate::inside::{self, Inside};
use crate::mounts::{Planned, Source};
use crate::{Error, Result, mount_api, options, process};

/// Places inside `/proc` that may be covered (what lxcfs and the like show in their stead).
const PROC_MAY: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

pub(crate) fn attach(inside: &Inside<'_>, planned: &Planned<'_>, label: Option<&str>) -> Result<()> {
    let destination = planned.mount.destination.as_path();
    let (tree, is_folder) = match &planned.source {
        Source::Tree { tree, is_folder } => (None.ok_or(tree), *is_folder),
        Source::New { kind } => (Ok(make(planned, kind, label)?), true),
        Source::Cgroup => return Ok(()),
    };
    let target = target(inside, destination, is_folder).step(|| doing(planned))?;
    let is_proc = matches!(&planned.source, Source::New { kind } if kind == "proc");
    refuse_other_proc(&planned.source, destination)?;
    refuse_cover_of_proc(&target, destination, is_proc)?;
    if matches!(&planned.source, Source::New { kind } if kind == "proc" || kind == "sysfs") {
        // These decide what "/proc/..." means to everything that follows: no link may lead them elsewhere
        // (CVE-2019-16884, CVE-2019-19921).
        inside.find_plain(destination).map_err(|_| {
            Error::InvalidSpec(format!(
                "filesystem \"{}\" must be mounted on ordinary directory",
                destination.display()
            ))
        })?;
    }
    match tree {
        Ok(new) => {
            if planned.options.copy_up {
                copy_up::copy(inside, destination, &new)
                    .step(|| format!("copying up {}", destination.display()))?;
            }
            mount_api::attach(&new, &target).step(|| doing(planned))?;
            for (flag, deep) in &planned.options.propagation {
                mount_api::propagate(new.as_fd(), *flag, *deep).step(|| doing(planned))?;
            }
            Ok(())
        }
        Err(tree) => mount_api::attach(tree, &target).step(|| doing(planned)),
    }
}

/// Mounts that others are attached in: they take their `ro` when everything stands.
pub(crate) fn late_read_only(inside: &Inside<'_>, all: &[Planned<'_>]) -> Result<()> {
    for planned in all.iter().filter(|p| is_late(p)) {
        let mount = inside.find(&planned.mount.destination).step(|| doing(planned))?;
        mount_api::change(mount.as_fd(), options::RDONLY, 0, false).step(|| doing(planned))?;
    }
    Ok(())
}

/// `/dev` gets its nodes, and a tmpfs its copies and mount points, after it is mounted.
fn is_late(planned: &Planned<'_>) -> bool {
    matches!(&planned.source, Source::New { kind } if kind == "tmpfs")
        && planned.options.set & options::RDONLY != 0
}

fn doing(planned: &Planned<'_>) -> String {
    let mount = planned.mount;
    let source =
        mount.source.as_deref().or(mount.kind.as_deref().map(Path::new)).unwrap_or(Path::new("none"));
    format!("error mounting \"{}\" to rootfs at \"{}\"", source.display(), mount.destination.display())
}

/// The mount point, made where it is missing.
pub(crate) fn target(
    inside: &Inside<'_>,
    path: &Path,
    is_folder: bool,
) -> std::result::Result<OwnedFd, Errno> {
    if is_folder { inside.folder(path) } else { inside.file(path) }
}

/// What is inside the container's own procfs may not be covered: it would be written through (CVE-2025-52881).
/// Asked from the kernel, not from the path: a link to it is as good as itself.
fn refuse_cover_of_proc(target: &OwnedFd, destination: &Path, is_proc: bool) -> Result<()> {
    let in_proc = inside::magic(target).step(|| "looking at a mount point")? == inside::PROC;
    if in_proc && !is_proc && !PROC_MAY.iter().any(|p| destination == Path::new(p)) {
        return Err(Error::InvalidSpec(format!(
            "\"{0}\" cannot be mounted because it is inside /proc",
            destination.display()
        )));
    }
    Ok(())
}

/// `/proc` itself is a procfs or nothing: what stands in its place could claim anything of a process (CVE-2019-16884).
fn refuse_other_proc(source: &Source, destination: &Path) -> Result<()> {
    let other = match source {
        Source::Tree { tree, .. } => {
            inside::magic(tree).step(|| "looking at a mount's source")? != inside::PROC
        }
        Source::New { kind } => kind != "proc",
        Source::Cgroup => true,
    };
    if other && destination == Path::new("/proc") {
        return Err(Error::InvalidSpec("\"/proc\" cannot be mounted because it is not of type proc".into()));
    }
    Ok(())
}

fn make(planned: &Planned<'_>, kind: &str, label: Option<&str>) -> Result<OwnedFd> {
    let options = &planned.options;
    let mut data = options.data.clone();
    let label = label.filter(|l| !l.is_empty() && process::has_selinux());
    if let Some(label) = label
        && !matches!(kind, "proc" | "sysfs" | "mqueue")
    {
        data.push(format!("context={label}"));
    }
    let source = planned.mount.source.as_deref().and_then(Path::to_str).filter(|s| !s.is_empty());
    let mut attributes = options.set | options.set_recursive;
    if is_late(planned) {
        attributes &= !options::RDONLY;
    }
    match mount_api::new(kind, source.or(Some(kind)), &data, attributes) {
        // A sysfs of a network namespace that is not ours cannot be made.
        Err(Errno::PERM) if kind == "sysfs" => sysfs_of_host(attributes).step(|| doing(planned)),
        // The kernel has made it already, with the ipc namespace: it takes no context any more, but a label.
        Ok(queues) if kind == "mqueue" => {
            label.map_or(Ok(()), |label| give_label(&queues, label)).step(|| doing(planned))?;
            Ok(queues)
        }
        other => other.step(|| doing(planned)),
    }
}

fn give_label(root: &OwnedFd, label: &str) -> std::result::Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", root.as_raw_fd());
    rustix::fs::setxattr(path, "security.selinux", label.as_bytes(), rustix::fs::XattrFlags::empty())
}

/// With the host's network and a user namespace of its own, a container gets a read-only view of the host's sysfs.
fn sysfs_of_host(attributes: u64) -> std::io::Result<OwnedFd> {
    let tree = mount_api::copy_of(Path::new("/sys"), true)?;
    mount_api::change(tree.as_fd(), attributes | options::RDONLY, 0, false)?;
    Ok(tree)
}

/// Opens a folder for reading below the root.
pub(crate) fn read_folder(inside: &Inside<'_>, path: &Path) -> std::result::Result<OwnedFd, Errno> {
    inside.open(path, OFlags::RDONLY | OFlags::DIRECTORY, rustix::fs::ResolveFlags::empty())
}
