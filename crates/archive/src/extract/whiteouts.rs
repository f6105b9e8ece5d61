//! What a layer says is gone.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

use super::Unpacker;
use crate::root::os;
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

    /// Deletes what was in `dir` before this archive.
    fn clear(&mut self, dir: &[u8]) -> Result<()> {
        let Ok(fd) = self.root.open_at(dir, OFlags::RDONLY | OFlags::DIRECTORY, 0) else { return Ok(()) };
        for child in crate::root::list(&fd).map_err(Error::file("listing", dir))? {
            let name = if dir.is_empty() { child } else { [dir, b"/", &child].concat() };
            let below = [name.as_slice(), b"/"].concat();
            if self.made.contains(&name) {
                self.clear(&name)?;
            } else if !self.made.iter().any(|made| made.starts_with(&below)) {
                self.remove(&fd, &name)?;
            }
        }
        Ok(())
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
