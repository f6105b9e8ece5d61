//! The names by which a layer says "gone" (OCI image spec, layer.md), and what the kernel's overlayfs has for them.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Mode, Stat, XattrFlags};

use crate::root::os;
use crate::xattr::by_proc;

/// What becomes of the names by which a layer says "gone": `.wh.x` and `.wh..wh..opq`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whiteouts {
    /// They are names like any other: `docker cp`, a build context.
    #[default]
    Plain,
    /// Translate to the kernel's overlayfs: a 0/0 character device, and the `trusted.overlay.opaque` attribute.
    Overlay,
    /// The same with `user.overlay.` attributes, for overlays mounted with `userxattr`.
    OverlayUser,
    /// Do it: delete what they name from the tree.
    Delete,
}

pub(crate) const PREFIX: &[u8] = b".wh.";
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";
/// Names AUFS kept for itself; they are in old layers and mean nothing.
pub(crate) const RESERVED: &[u8] = b".wh..wh.";

/// What a member's last name component says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sign<'a> {
    /// Nothing: it is a name.
    Name,
    /// The directory shows nothing of what is below it.
    Opaque,
    /// This sibling is gone.
    Gone(&'a [u8]),
    /// To be skipped.
    Reserved,
    /// A whiteout of nothing that can be.
    Nonsense,
}

impl Whiteouts {
    pub(crate) fn sign<'a>(self, base: &'a [u8]) -> Sign<'a> {
        match base.strip_prefix(PREFIX) {
            _ if self == Whiteouts::Plain => Sign::Name,
            None => Sign::Name,
            Some(_) if base == OPAQUE => Sign::Opaque,
            Some(_) if base.starts_with(RESERVED) => Sign::Reserved,
            Some(b"" | b"." | b"..") => Sign::Nonsense,
            Some(gone) => Sign::Gone(gone),
        }
    }

    /// The attribute that marks an opaque directory, where there is one.
    pub(crate) fn opaque_key(self) -> Option<&'static [u8]> {
        match self {
            Whiteouts::Overlay => Some(b"trusted.overlay.opaque"),
            Whiteouts::OverlayUser => Some(b"user.overlay.opaque"),
            Whiteouts::Plain | Whiteouts::Delete => None,
        }
    }

    pub(crate) fn is_overlay(self) -> bool {
        self.opaque_key().is_some()
    }

    /// Marks the directory `name` in `dir` as showing nothing of what is below it.
    pub(crate) fn make_opaque(self, dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
        match self.opaque_key() {
            Some(key) => rustix::fs::lsetxattr(os(&by_proc(dir, name)), os(key), b"y", XattrFlags::empty()),
            None => Ok(()),
        }
    }

    /// Whether the directory `name` in `dir` is marked as showing nothing of what is below it.
    pub fn is_opaque(self, dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<bool> {
        let Some(key) = self.opaque_key() else { return Ok(false) };
        Ok(crate::xattr::get(&by_proc(dir, name), key)?.is_some_and(|value| value == b"y"))
    }
}

/// Makes overlayfs's own whiteout.
pub(crate) fn make_gone(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::mknodat(dir, os(name), FileType::CharacterDevice, Mode::empty(), 0)
}

/// Whether this is overlayfs's own whiteout.
pub fn is_overlay_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}
