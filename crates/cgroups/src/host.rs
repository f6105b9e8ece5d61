//! Which hierarchies this host has, found at run time.

use std::fs;
use std::path::PathBuf;

use crate::{Error, Result};

/// One mounted hierarchy of version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// `["cpu", "cpuacct"]`, `["name=systemd"]`.
    pub controllers: Vec<String>,
    pub mount: PathBuf,
    /// The runtime's own folder in it, as a path from the mount.
    pub own: PathBuf,
}

/// The hierarchies of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Version 1, in mount order; empty on a pure version 2 host.
    pub v1: Vec<Hierarchy>,
    /// Where version 2 is mounted; beside version 1 it has no limits of ours.
    pub v2: Option<Hierarchy>,
}

/// Options of a version 1 mount that are not controllers.
const NOT_CONTROLLERS: &[&str] =
    &["rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode", "all", "none", "favordynmods"];

impl Host {
    /// Reads the mount table and the runtime's own place.
    pub fn detect() -> Result<Host> {
        let read = |path: &str| {
            fs::read_to_string(path)
                .map_err(|cause| Error::Io { what: format!("failed to read {path}"), cause })
        };
        let host = Host::parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
        if host.v1.is_empty() && host.v2.is_none() {
            return Err(Error::Unsupported("no cgroup hierarchy is mounted on this host".into()));
        }
        Ok(host)
    }

    /// Whether limits are version 2's.
    pub fn is_unified(&self) -> bool {
        self.v1.is_empty()
    }

    fn parse(mounts: &str, own: &str) -> Host {
        let mut host = Host { v1: Vec::new(), v2: None };
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let mut right = right.split(' ');
            let kind = right.next().unwrap_or_default();
            let options = right.nth(1).unwrap_or_default();
            let mut left = left.split(' ').skip(3);
            let (root, mount) = (left.next().unwrap_or_default(), left.next().unwrap_or_default());
            let mount = PathBuf::from(unescape(mount));
            let hierarchy = |controllers: Vec<String>| Hierarchy {
                own: own_folder(own, &controllers, root),
                controllers,
                mount: mount.clone(),
            };
            match kind {
                "cgroup2" if host.v2.is_none() => host.v2 = Some(hierarchy(Vec::new())),
                "cgroup" => {
                    let controllers: Vec<String> = options
                        .split(',')
                        .filter(|o| {
                            !NOT_CONTROLLERS.contains(o) && (!o.contains('=') || o.starts_with("name="))
                        })
                        .map(str::to_owned)
                        .collect();
                    let known = host.v1.iter().any(|h| h.controllers == controllers);
                    if !known && !controllers.is_empty() {
                        host.v1.push(hierarchy(controllers));
                    }
                }
                _ => {}
            }
        }
        // A host whose only version 1 hierarchy is systemd's named one has its limits in version 2.
        if host.v2.is_some() && host.v1.iter().all(|h| h.controllers.iter().all(|c| c.starts_with("name="))) {
            host.v1.clear();
        }
        host
    }
}

/// `own` is `/proc/self/cgroup`: `4:memory:/path`, version 2 as `0::/path`.
fn own_folder(own: &str, controllers: &[String], root: &str) -> PathBuf {
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        let same = if controllers.is_empty() {
            names.is_empty()
        } else {
            names.split(',').any(|n| n == controllers[0])
        };
        same.then_some(path)
    });
    let path = path.unwrap_or("/");
    let below = if root == "/" { path } else { path.strip_prefix(root).unwrap_or("") };
    PathBuf::from(below.trim_start_matches('/'))
}

/// The mount table writes space, tab, newline and backslash in octal.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_host_has_its_limits_in_version_1() {
        let mounts = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
                      40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let host = Host::parse(mounts, "2:cpu,cpuacct:/a/b\n1:name=systemd:/\n0::/c\n");
        assert!(!host.is_unified());
        assert_eq!(host.v1[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(host.v1[0].own, PathBuf::from("a/b"));
        assert_eq!(host.v1[1].controllers, ["name=systemd"]);
        assert_eq!(host.v2.unwrap().own, PathBuf::from("c"));
    }

    #[test]
    fn a_named_hierarchy_alone_does_not_make_version_1() {
        let mounts = "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n2 0 0:2 / /s rw - cgroup none rw,name=systemd\n";
        assert!(Host::parse(mounts, "0::/\n").is_unified());
    }
}
