//! Modes on the wire are Go's `os.FileMode`, not the kernel's `st_mode`.

use rustix::fs::FileType;

const FOLDER: u32 = 1 << 31;
const LINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const FIFO: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const CHARACTER: u32 = 1 << 21;
const KINDS: u32 = FOLDER | LINK | DEVICE | FIFO | SOCKET | CHARACTER | 1 << 19;
/// Go's bits for set-user, set-group and sticky, beside the kernel's.
const SPECIAL: [(u32, u32); 3] = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A block device.
    Block,
    /// A character device.
    Character,
    /// A named pipe.
    Fifo,
    /// A socket; never sent.
    Socket,
    /// What no kernel of ours knows.
    Unknown,
}

impl Kind {
    /// The kind in a wire mode.
    pub fn of_wire(mode: u32) -> Self {
        match mode & KINDS {
            0 => Kind::File,
            FOLDER => Kind::Folder,
            LINK => Kind::Link,
            DEVICE => Kind::Block,
            kind if kind == DEVICE | CHARACTER => Kind::Character,
            FIFO => Kind::Fifo,
            SOCKET => Kind::Socket,
            _ => Kind::Unknown,
        }
    }

    /// The kind in a kernel mode.
    pub fn of_kernel(mode: u32) -> Self {
        match FileType::from_raw_mode(mode) {
            FileType::Directory => Kind::Folder,
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Link,
            FileType::BlockDevice => Kind::Block,
            FileType::CharacterDevice => Kind::Character,
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::Unknown => Kind::Unknown,
        }
    }

    /// As [`FileType`].
    pub(super) fn file_type(self) -> FileType {
        match self {
            Kind::Folder => FileType::Directory,
            Kind::File => FileType::RegularFile,
            Kind::Link => FileType::Symlink,
            Kind::Block => FileType::BlockDevice,
            Kind::Character => FileType::CharacterDevice,
            Kind::Fifo => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::Unknown => FileType::Unknown,
        }
    }
}

/// A kernel mode for the wire.
pub(super) fn to_wire(mode: u32) -> u32 {
    let kind = match Kind::of_kernel(mode) {
        Kind::Folder => FOLDER,
        Kind::Link => LINK,
        Kind::Block => DEVICE,
        Kind::Character => DEVICE | CHARACTER,
        Kind::Fifo => FIFO,
        Kind::Socket => SOCKET,
        Kind::File | Kind::Unknown => 0,
    };
    let special: u32 = SPECIAL.iter().filter(|(_, kernel)| mode & kernel != 0).map(|(go, _)| go).sum();
    kind | special | mode & 0o777
}

/// The permission bits of a wire mode, as the kernel has them.
pub(super) fn permissions(wire: u32) -> u32 {
    let special: u32 = SPECIAL.iter().filter(|(go, _)| wire & go != 0).map(|(_, kernel)| kernel).sum();
    special | wire & 0o777
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn modes_survive_the_wire(kind in prop::sample::select(vec![0o040000u32, 0o100000, 0o120000, 0o060000, 0o020000, 0o010000]), bits in 0u32..0o10000) {
            let wire = to_wire(kind | bits);
            prop_assert_eq!(Kind::of_wire(wire), Kind::of_kernel(kind));
            prop_assert_eq!(permissions(wire), bits);
        }
    }
}
