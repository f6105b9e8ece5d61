//! What a layer says is gone.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

use super::Unpacker;
use crate::root::{os, split};
use crate::whiteout::make_gone;
use crate::{Error, Result};

impl Unpacker<'_> {
    pub(super) fn opaque(&mut self, dir: &[u8]) -> Result<()> {
        self.settle()?;
        if self.options.whiteouts.is_overlay() {
            let fd = self.open_parent(dir)?.fd;
            self.options.whiteouts.make_opaque(fd.as_fd(), b".").map_err(Error::file("marking", dir))?;
            return Ok(());
        }
        self.clear(dir)
    }

    /// Deletes what was in `dir` before this archive. That is done once for a directory: whatever is in it then, this
    /// archive made, and an archive of nothing but marks costs no more than its marks.
    fn clear(&mut self, dir: &[u8]) -> Result<()> {
        // A link's directory has another name, by which it is known what this archive made in it.
        let Ok(_plain) = self.root.open_plain_dir(dir) else { return Ok(()) };
        let mut above = dir;
        while !self.cleared.contains(above) {
            if above.is_empty() {
                self.clear_anew(dir)?;
                self.cleared.insert(dir.to_vec());
                break;
            }
            above = split(above).0;
        }
        Ok(())
    }

    fn clear_anew(&mut self, dir: &[u8]) -> Result<()> {
        let Ok(fd) = self.root.open_at(dir, OFlags::RDONLY | OFlags::DIRECTORY, 0) else { return Ok(()) };
        for child in crate::root::list(&fd).map_err(Error::file("listing", dir))? {
            let name = if dir.is_empty() { child } else { [dir, b"/", &child].concat() };
            if self.made.contains(&name) || self.made_below(&name) {
                self.clear(&name)?;
            } else {
                self.remove(&fd, &name)?;
            }
        }
        Ok(())
    }

    /// Whether this archive made something in a directory, itself unmentioned.
    fn made_below(&self, name: &[u8]) -> bool {
        let below = [name, b"/"].concat();
        self.made.range(below.clone()..).next().is_some_and(|made| made.starts_with(&below))
    }

    pub(super) fn gone(&mut self, dir: &[u8], base: &[u8]) -> Result<()> {
        self.settle()?;
        let name = if dir.is_empty() { base.to_vec() } else { [dir, b"/", base].concat() };
        if !self.options.whiteouts.is_overlay() {
            if self.made.contains(&name) {
                return self.clear(&name);
            }
            let Ok(fd) = self.root.open_dir(dir) else { return Ok(()) };
            return self.remove(&fd, &name);
        }
        let parent = self.open_parent(dir)?.fd;
        let made = match make_gone(parent.as_fd(), base) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                // This layer made it anew before it said that the old one is gone. A directory must not merge with the old one.
                let stat = rustix::fs::statat(&parent, os(base), AtFlags::SYMLINK_NOFOLLOW);
                match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                    Ok(FileType::Directory) => self.options.whiteouts.make_opaque(parent.as_fd(), base),
                    other => other.map(drop),
                }
            }
            Err(other) => Err(other),
        };
        made.map_err(Error::file("making whiteout", &name))
    }
}
