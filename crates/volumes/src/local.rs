//! The local driver's options: what is mounted over a volume's folder while it is used.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::net::ToSocketAddrs;
use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags};

use crate::VolumeError;

/// Checks the options of a new volume, with Docker's refusals.
pub(crate) fn validate(name: &str, options: &BTreeMap<String, String>) -> Result<(), VolumeError> {
    for option in options.keys() {
        // `size` asks for a project quota, which no driver of ours has: refused rather than forgotten.
        if !matches!(option.as_str(), "type" | "o" | "device") {
            return Err(VolumeError::Option { name: name.to_owned(), option: option.clone() });
        }
    }
    let has = |key: &str| options.get(key).is_some_and(|value| !value.is_empty());
    match (has("type"), has("device")) {
        (true, false) => Err(VolumeError::MissingOption { name: name.to_owned(), option: "device" }),
        (false, true) => Err(VolumeError::MissingOption { name: name.to_owned(), option: "type" }),
        _ => Ok(()),
    }
}

/// Whether these options ask for a mount.
pub(crate) fn wants_mount(options: &BTreeMap<String, String>) -> bool {
    options.get("device").is_some_and(|device| !device.is_empty())
}

#[derive(Debug, PartialEq)]
struct Plan {
    flags: MountFlags,
    propagation: Option<MountPropagationFlags>,
    data: String,
}

/// Splits `-o` words into the kernel's flags and the file system's own data.
fn plan(words: &str) -> Plan {
    let mut flags = MountFlags::empty();
    let mut propagation = None;
    let mut data: Vec<&str> = Vec::new();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        let set = match word {
            "defaults" | "rw" | "suid" | "dev" | "exec" | "async" | "atime" | "diratime" => {
                MountFlags::empty()
            }
            "ro" => MountFlags::RDONLY,
            "nosuid" => MountFlags::NOSUID,
            "nodev" => MountFlags::NODEV,
            "noexec" => MountFlags::NOEXEC,
            "sync" => MountFlags::SYNCHRONOUS,
            "dirsync" => MountFlags::DIRSYNC,
            "noatime" => MountFlags::NOATIME,
            "nodiratime" => MountFlags::NODIRATIME,
            "relatime" => MountFlags::RELATIME,
            "strictatime" => MountFlags::STRICTATIME,
            "bind" => MountFlags::BIND,
            "rbind" => MountFlags::BIND | MountFlags::REC,
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                let kind = match word.trim_start_matches('r') {
                    "private" => MountPropagationFlags::PRIVATE,
                    "shared" => MountPropagationFlags::SHARED,
                    _ => MountPropagationFlags::DOWNSTREAM,
                };
                let deep = if word.starts_with('r') {
                    MountPropagationFlags::REC
                } else {
                    MountPropagationFlags::empty()
                };
                propagation = Some(kind | deep);
                continue;
            }
            other => {
                data.push(other);
                continue;
            }
        };
        flags |= set;
    }
    Plan { flags, propagation, data: data.join(",") }
}

/// Mounts what the options name over `target`.
pub(crate) fn mount(options: &BTreeMap<String, String>, target: &Path) -> Result<(), VolumeError> {
    let get = |key: &str| options.get(key).map_or("", String::as_str);
    let (kind, device) = (get("type"), get("device"));
    let plan = plan(get("o"));
    let data = if kind.starts_with("nfs") { resolve_address(&plan.data) } else { plan.data.clone() };
    let failed = |cause: io::Error| VolumeError::Mount {
        path: target.display().to_string(),
        device: device.to_owned(),
        data: if data.is_empty() { String::new() } else { format!(", data: {data}") },
        cause,
    };
    let c_data = CString::new(data.as_str()).map_err(|_| failed(io::ErrorKind::InvalidInput.into()))?;
    let kind = if kind == "none" { "" } else { kind };
    rustix::mount::mount(device, target, kind, plan.flags, c_data.as_c_str())
        .map_err(|err| failed(err.into()))?;
    let finish = || -> io::Result<()> {
        // A bind takes no other flag in its own call: they are set by a second one.
        if plan.flags.contains(MountFlags::BIND)
            && plan.flags.intersects(MountFlags::RDONLY | MountFlags::NOEXEC)
        {
            rustix::mount::mount_remount(target, plan.flags - MountFlags::REC, c"")?;
        }
        if let Some(propagation) = plan.propagation {
            rustix::mount::mount_change(target, propagation)?;
        }
        Ok(())
    };
    finish().map_err(|cause| {
        let _ = unmount(target);
        failed(cause)
    })
}

pub(crate) fn unmount(target: &Path) -> io::Result<()> {
    match rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

/// Whether something is mounted exactly there.
pub(crate) fn is_mounted(target: &Path) -> bool {
    let (Ok(here), Some(Ok(above))) = (rustix::fs::stat(target), target.parent().map(rustix::fs::stat))
    else {
        return false;
    };
    if here.st_dev != above.st_dev {
        return true;
    }
    // A bind of the same file system shows only in the table.
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let wanted = target.to_string_lossy();
    table.lines().any(|line| line.split(' ').nth(4) == Some(wanted.as_ref()))
}

/// The kernel's nfs wants a number in `addr=`.
fn resolve_address(data: &str) -> String {
    let words = data.split(',').map(|word| {
        let found = word
            .strip_prefix("addr=")
            .and_then(|host| (host, 0).to_socket_addrs().ok())
            .and_then(|mut addresses| addresses.next());
        found.map_or_else(|| word.to_owned(), |address| format!("addr={}", address.ip()))
    });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn options_are_checked_before_anything_is_made() {
        assert!(validate("v", &options(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")])).is_ok());
        let told = validate("v", &options(&[("type", "nfs")])).unwrap_err().to_string();
        assert_eq!(told, "create v: missing required option: \"device\"");
        let told = validate("v", &options(&[("colour", "red")])).unwrap_err().to_string();
        assert_eq!(told, "create v: invalid option: \"colour\"");
    }

    #[test]
    fn words_are_flags_or_data() {
        let plan = plan("ro,size=1m,rbind,rshared,uid=1000");
        assert_eq!(plan.flags, MountFlags::RDONLY | MountFlags::BIND | MountFlags::REC);
        assert_eq!(plan.data, "size=1m,uid=1000");
        assert_eq!(plan.propagation, Some(MountPropagationFlags::SHARED | MountPropagationFlags::REC));
    }

    #[test]
    fn nfs_addresses_become_numbers() {
        assert_eq!(resolve_address("addr=127.0.0.1,rw"), "addr=127.0.0.1,rw");
    }
}
