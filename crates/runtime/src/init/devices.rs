//! `/dev`: the nodes that every container has, those it asks for, and the links that programs expect.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Uid, chmodat, chownat, makedev, mknodat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::error::Step;
use crate::inside::Inside;
use crate::spec::{Device, Spec};
use crate::{Error, Result, mount_api, options::Options};

/// Name, major, minor (config-linux.md, "Default Devices").
const DEFAULTS: [(&str, i64, i64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The default devices and those of the configuration, each path once; the configuration's word counts.
pub(crate) fn wanted(spec: &Spec) -> Vec<Device> {
    let mut all: Vec<Device> = spec.linux().devices.clone();
    for (name, major, minor) in DEFAULTS {
        let path = PathBuf::from("/dev").join(name);
        if !all.iter().any(|d| d.path == path) {
            all.push(Device {
                path,
                kind: "c".into(),
                major,
                minor,
                file_mode: Some(0o666),
                uid: Some(0),
                gid: Some(0),
            });
        }
    }
    all
}

/// Somebody else's `/dev` is left as it is.
pub(crate) fn are_ours(spec: &Spec) -> bool {
    !spec
        .mounts
        .iter()
        .any(|m| m.destination == Path::new("/dev") && Options::of(m).is_ok_and(|o| o.bind.is_some()))
}

/// A process in a user namespace cannot make nodes: the host's are lent to it.
pub(crate) fn trees(spec: &Spec) -> Result<Vec<Option<OwnedFd>>> {
    wanted(spec)
        .iter()
        .map(|d| {
            mount_api::copy_of(&d.path, false)
                .map(Some)
                .step(|| format!("lending the host's {}", d.path.display()))
        })
        .collect()
}

pub(crate) fn make(inside: &Inside<'_>, spec: &Spec, trees: &[Option<OwnedFd>]) -> Result<()> {
    let wanted = wanted(spec);
    let dev = inside.folder(Path::new("/dev")).step(|| "making /dev")?;
    for (at, device) in wanted.iter().enumerate() {
        let doing = || format!("error creating device node {}", device.path.display());
        match trees.get(at).and_then(Option::as_ref) {
            Some(tree) => {
                let target = inside.file(&device.path).step(doing)?;
                mount_api::attach(tree, &target).step(doing)?;
            }
            None => match device.path.strip_prefix("/dev") {
                // The common case: straight below /dev, resolved once for all.
                Ok(name) if name.components().count() == 1 => node(&dev, name, device)?,
                _ => {
                    let (parent, name) = inside
                        .parent(&device.path)
                        .step(doing)?
                        .ok_or_else(|| Error::InvalidSpec("a device at /".into()))?;
                    node(&parent, name, device)?;
                }
            },
        }
    }
    links(inside, &dev)
}

fn node(parent: &OwnedFd, name: &Path, device: &Device) -> Result<()> {
    let doing = || format!("error creating device node {}", device.path.display());
    let kind = match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        other => {
            return Err(Error::InvalidSpec(format!(
                "invalid device type \"{other}\" of {}",
                device.path.display()
            )));
        }
    };
    let number = match kind {
        FileType::Fifo => 0,
        _ => makedev(device.major as u32, device.minor as u32),
    };
    let mode = Mode::from_raw_mode(device.file_mode.unwrap_or(0o666) & 0o7777);
    // The umask is 0 here: the mode is exact.
    match mknodat(parent, name, kind, mode, number) {
        Err(Errno::EXIST) => {
            let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).step(doing)?;
            let same = FileType::from_raw_mode(stat.st_mode) == kind
                && (kind == FileType::Fifo || stat.st_rdev == number);
            if same {
                chmodat(parent, name, mode, AtFlags::empty()).step(doing)?;
            } else {
                // A file of the image in a device's place (CVE-2025-31133: what is written to it must go nowhere).
                unlinkat(parent, name, AtFlags::empty()).step(doing)?;
                mknodat(parent, name, kind, mode, number).step(doing)?;
            }
        }
        other => other.step(doing)?,
    }
    let (uid, gid) = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
    if (uid, gid) != (0, 0) {
        chownat(parent, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)
            .step(doing)?;
    }
    Ok(())
}

fn links(inside: &Inside<'_>, dev: &OwnedFd) -> Result<()> {
    for (to, name) in [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ] {
        link(dev, to, name, false)?;
    }
    if inside.find(Path::new("/proc/kcore")).is_ok() {
        link(dev, "/proc/kcore", "core", false)?;
    }
    link(dev, "pts/ptmx", "ptmx", true)
}

fn link(dev: &OwnedFd, to: &str, name: &str, replace: bool) -> Result<()> {
    let doing = || format!("symlink {to} /dev/{name}");
    match symlinkat(to, dev, name) {
        Err(Errno::EXIST) if replace => {
            unlinkat(dev, name, AtFlags::empty()).step(doing)?;
            symlinkat(to, dev, name).step(doing)
        }
        Err(Errno::EXIST) => Ok(()),
        other => other.step(doing),
    }
}
