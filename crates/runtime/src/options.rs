//! Mount options in the words of fstab and the OCI specification, read into what the mount API takes.

use std::path::Path;

use crate::spec::Mount;
use crate::{Error, Result};

/// One mount's options.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// `MOUNT_ATTR_*` to set and to clear on the mount itself.
    pub set: u64,
    pub clear: u64,
    /// The same for the whole tree below (`rro` and its like).
    pub set_recursive: u64,
    pub clear_recursive: u64,
    /// `Some(true)`: with everything below.
    pub bind: Option<bool>,
    /// `MS_SHARED`, ... and whether for the whole tree, in order.
    pub propagation: Vec<(u64, bool)>,
    pub copy_up: bool,
    /// `Some(true)`: the whole tree.
    pub idmap: Option<bool>,
    /// What the file system itself reads: `key` or `key=value`.
    pub data: Vec<String>,
}

pub(crate) const RDONLY: u64 = 0x1;
pub(crate) const NOSUID: u64 = 0x2;
pub(crate) const NODEV: u64 = 0x4;
pub(crate) const NOEXEC: u64 = 0x8;
const ATIME_MASK: u64 = 0x70;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x20_0000;

pub(crate) const UNBINDABLE: u64 = 1 << 17;
pub(crate) const PRIVATE: u64 = 1 << 18;
pub(crate) const SLAVE: u64 = 1 << 19;
pub(crate) const SHARED: u64 = 1 << 20;

/// The attribute a word sets, or clears.
fn attribute(word: &str) -> Option<(u64, u64)> {
    Some(match word {
        "ro" => (RDONLY, 0),
        "rw" => (0, RDONLY),
        "nosuid" => (NOSUID, 0),
        "suid" => (0, NOSUID),
        "nodev" => (NODEV, 0),
        "dev" => (0, NODEV),
        "noexec" => (NOEXEC, 0),
        "exec" => (0, NOEXEC),
        // The kernel holds these three in one field.
        "noatime" => (NOATIME, ATIME_MASK),
        "strictatime" => (STRICTATIME, ATIME_MASK),
        "relatime" | "atime" | "nostrictatime" | "norelatime" => (0, ATIME_MASK),
        "nodiratime" => (NODIRATIME, 0),
        "diratime" => (0, NODIRATIME),
        "nosymfollow" => (NOSYMFOLLOW, 0),
        "symfollow" => (0, NOSYMFOLLOW),
        _ => return None,
    })
}

/// `private` and its like; with an `r` in front for the whole tree.
pub(crate) fn propagation(word: &str) -> Option<(u64, bool)> {
    let one = |word: &str| {
        Some(match word {
            "private" => PRIVATE,
            "shared" => SHARED,
            "slave" => SLAVE,
            "unbindable" => UNBINDABLE,
            _ => return None,
        })
    };
    one(word).map(|p| (p, false)).or_else(|| Some((one(word.strip_prefix('r')?)?, true)))
}

impl Options {
    pub(crate) fn of(mount: &Mount) -> Result<Options> {
        let mut o = Options::default();
        for word in &mount.options {
            match word.as_str() {
                "" | "defaults" | "async" | "nomand" | "noiversion" | "nolazytime" | "loud" | "silent" => {}
                "bind" => o.bind = o.bind.or(Some(false)),
                "rbind" => o.bind = Some(true),
                "tmpcopyup" => o.copy_up = true,
                "idmap" => o.idmap = Some(false),
                "ridmap" => o.idmap = Some(true),
                "remount" => {
                    return Err(Error::Unsupported(format!(
                        "mount option \"remount\" of {} is not supported: mount it as it is to be",
                        mount.destination.display()
                    )));
                }
                word => {
                    if let Some((set, clear)) = attribute(word) {
                        (o.set, o.clear) = ((o.set & !clear) | set, (o.clear & !set) | clear);
                    } else if let Some(p) = propagation(word) {
                        o.propagation.push(p);
                    } else if let Some((set, clear)) = word.strip_prefix('r').and_then(attribute) {
                        o.set_recursive = (o.set_recursive & !clear) | set;
                        o.clear_recursive = (o.clear_recursive & !set) | clear;
                    } else {
                        o.data.push(word.to_owned());
                    }
                }
            }
        }
        if mount.kind.as_deref() == Some("bind") && o.bind.is_none() {
            o.bind = Some(false);
        }
        if o.bind.is_none()
            && o.idmap.is_none()
            && !(mount.uid_mappings.is_empty() && mount.gid_mappings.is_empty())
        {
            o.idmap = Some(false);
        }
        if mount.destination == Path::new("") {
            return Err(Error::InvalidSpec("a mount without a destination".into()));
        }
        Ok(o)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Options {
        let options = options.iter().map(|s| s.to_string()).collect();
        Options::of(&Mount { destination: "/x".into(), options, ..Default::default() }).unwrap()
    }

    #[test]
    fn words_become_attributes_and_the_rest_is_the_file_systems() {
        let o = parse(&["rbind", "ro", "nosuid", "rprivate", "rro", "size=65536k", "mode=755"]);
        assert_eq!((o.set, o.set_recursive, o.bind), (RDONLY | NOSUID, RDONLY, Some(true)));
        assert_eq!(o.propagation, [(PRIVATE, true)]);
        assert_eq!(o.data, ["size=65536k", "mode=755"]);
    }

    #[test]
    fn the_later_word_wins() {
        assert_eq!(parse(&["ro", "rw"]).set, 0);
        assert_eq!(parse(&["noatime", "strictatime"]).set, STRICTATIME);
        assert_eq!(parse(&["relatime"]).clear, ATIME_MASK);
    }
}
