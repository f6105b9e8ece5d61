//! Kernel settings of the container's own namespaces.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::error::Step;
use crate::spec::Linux;
use crate::{Error, Result, mount_api};

/// Settings that belong to the ipc namespace.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Refuses what would change the host.
pub(crate) fn check(linux: &Linux) -> Result<()> {
    let own = |kind: &str| linux.namespace(kind).is_some();
    for key in linux.sysctl.keys() {
        let key = dotted(key);
        let allowed = if IPC.contains(&key.as_str()) || key.starts_with("fs.mqueue.") {
            own("ipc")
        } else if key.starts_with("net.") {
            own("network")
        } else if key == "kernel.domainname" || key == "kernel.hostname" {
            own("uts")
        } else {
            return Err(Error::InvalidSpec(format!(
                "sysctl \"{key}\" is not in a separate kernel namespace"
            )));
        };
        if !allowed {
            return Err(Error::InvalidSpec(format!(
                "sysctl \"{key}\" is not allowed in the hosts namespace"
            )));
        }
    }
    Ok(())
}

/// Written with slashes or with dots, the first of them decides.
fn dotted(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(at) if key.as_bytes()[at] == b'/' => key
            .chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect(),
        _ => key.to_owned(),
    }
}

/// Writes through a procfs that is attached nowhere: nothing in the container can stand in its way
/// (CVE-2025-52881).
pub(crate) fn write(settings: &BTreeMap<String, String>) -> Result<()> {
    if settings.is_empty() {
        return Ok(());
    }
    let proc = mount_api::new("proc", Some("proc"), &[] as &[&str], 0).step(|| "making a private procfs")?;
    for (key, value) in settings {
        let doing = || format!("setting sysctl {key}={value}");
        let path = PathBuf::from("sys").join(
            dotted(key)
                .chars()
                .map(|c| {
                    if c == '.' {
                        '/'
                    } else if c == '/' {
                        '.'
                    } else {
                        c
                    }
                })
                .collect::<String>(),
        );
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        let file = openat2(&proc, &path, flags, Mode::empty(), resolve).step(doing)?;
        std::fs::File::from(file).write_all(value.as_bytes()).step(doing)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Namespace;

    #[test]
    fn a_setting_of_the_host_is_refused() {
        let linux = |key: &str, kinds: &[&str]| Linux {
            sysctl: BTreeMap::from([(key.to_owned(), "1".to_owned())]),
            namespaces: kinds.iter().map(|k| Namespace { kind: k.to_string(), path: None }).collect(),
            ..Default::default()
        };
        assert!(check(&linux("net.ipv4.ip_forward", &["network"])).is_ok());
        assert!(check(&linux("net/ipv4/conf/eth0.1/forwarding", &["network"])).is_ok());
        assert!(check(&linux("net.ipv4.ip_forward", &[])).is_err());
        assert!(check(&linux("kernel.shmmax", &["ipc"])).is_ok());
        assert!(check(&linux("vm.swappiness", &["ipc", "network", "uts"])).is_err());
    }

    #[test]
    fn an_interface_with_a_dot_is_written_with_slashes() {
        assert_eq!(dotted("net/ipv4/conf/eth0.1/x"), "net.ipv4.conf.eth0/1.x");
    }
}
