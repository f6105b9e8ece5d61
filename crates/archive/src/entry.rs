use std::collections::BTreeMap;

/// One member of an archive: everything but its bytes.
///
/// Names are bytes as they stand in the archive: not cleaned, not necessarily UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The member's name. Directories may or may not end in `/`.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: the low twelve bits.
    pub mode: u32,
    /// Owner's number.
    pub uid: u64,
    /// Group's number.
    pub gid: u64,
    /// Owner's name; may be empty.
    pub uname: Vec<u8>,
    /// Group's name; may be empty.
    pub gname: Vec<u8>,
    /// Size of the contents in bytes, holes included; zero for all but files.
    pub size: u64,
    /// When the contents last changed.
    pub mtime: Time,
    /// When they were last read, if the archive tells.
    pub atime: Option<Time>,
    /// When the inode last changed, if the archive tells.
    pub ctime: Option<Time>,
    /// Target of a symlink or hard link; else empty.
    pub link: Vec<u8>,
    /// Major and minor number of a device; else zeroes.
    pub device: (u32, u32),
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Of a sparse file: where its data lies, as (offset, length), ascending. `None` if it is not sparse.
    pub sparse: Option<Vec<(u64, u64)>>,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file (also the old "contiguous" kind).
    File,
    /// Another name of a file earlier in the archive.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A directory.
    Dir,
    /// A named pipe.
    Fifo,
}

/// Seconds and nanoseconds since 1970; `nanos` is below 10^9 and counts forward also before 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds.
    pub secs: i64,
    /// The rest.
    pub nanos: u32,
}

impl Entry {
    /// An empty member called `name`, owned by root, dated 1970.
    pub fn new(name: impl Into<Vec<u8>>, kind: Kind, mode: u32) -> Entry {
        Entry {
            name: name.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            uname: Vec::new(),
            gname: Vec::new(),
            size: 0,
            mtime: Time::default(),
            atime: None,
            ctime: None,
            link: Vec::new(),
            device: (0, 0),
            xattrs: BTreeMap::new(),
            sparse: None,
        }
    }

    /// A regular file of `size` bytes.
    pub fn file(name: impl Into<Vec<u8>>, size: u64) -> Entry {
        Entry { size, ..Entry::new(name, Kind::File, 0o644) }
    }

    /// A directory.
    pub fn dir(name: impl Into<Vec<u8>>) -> Entry {
        Entry::new(name, Kind::Dir, 0o755)
    }

    /// A symbolic link.
    pub fn symlink(name: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Entry {
        Entry { link: target.into(), ..Entry::new(name, Kind::Symlink, 0o777) }
    }

    /// A hard link to an earlier member.
    pub fn hard_link(name: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Entry {
        Entry { link: target.into(), ..Entry::new(name, Kind::HardLink, 0o644) }
    }
}

impl Time {
    /// A time of whole seconds.
    pub fn seconds(secs: i64) -> Time {
        Time { secs, nanos: 0 }
    }
}

impl From<std::time::SystemTime> for Time {
    fn from(at: std::time::SystemTime) -> Time {
        match at.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => {
                Time { secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
            }
            Err(before) => {
                let before = before.duration();
                let secs = -i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => Time { secs, nanos: 0 },
                    nanos => Time { secs: secs - 1, nanos: 1_000_000_000 - nanos },
                }
            }
        }
    }
}
