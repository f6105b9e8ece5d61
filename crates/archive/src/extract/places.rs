//! Where members are made: directories on the way, opened below the root.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::Unpacker;
use crate::root::{os, split};
use crate::whiteout::is_overlay_whiteout;
use crate::{Error, Result};

/// A directory to make something in.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub fd: Arc<OwnedFd>,
    /// No symlink led here: its name is the only one it has.
    pub plain: bool,
}

impl Unpacker<'_> {
    /// The directory `dir`, made as far as it is missing.
    pub(super) fn open_parent(&mut self, dir: &[u8]) -> Result<Place> {
        if let Some((known, place)) = &self.parent
            && known == dir
        {
            return Ok(place.clone());
        }
        self.settle_above(dir)?;
        // The whole of it without a symlink is what nearly every member has.
        let place = match self.root.open_plain_dir(dir) {
            Ok(fd) => Place { fd: Arc::new(fd), plain: true },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let fd = Arc::new(self.open_or_make(dir)?);
                let plain = self.root.open_plain_dir(dir).is_ok();
                Place { fd, plain }
            }
            Err(_) => {
                // What a symlink leads to may be what is being replaced.
                self.settle()?;
                Place { fd: Arc::new(self.open_or_make(dir)?), plain: false }
            }
        };
        self.parent = Some((dir.to_vec(), place.clone()));
        Ok(place)
    }

    fn open_or_make(&mut self, dir: &[u8]) -> Result<OwnedFd> {
        match self.root.open_dir(dir) {
            Ok(fd) => Ok(fd),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let (above, base) = split(dir);
                let parent = self.open_parent(above)?.fd;
                match rustix::fs::mkdirat(&parent, os(base), Mode::from_raw_mode(0o755)) {
                    Ok(()) => self.done.implied.push(dir.to_vec()),
                    // A symlink that leads nowhere: what it names cannot be made without guessing.
                    Err(error) => return Err(Error::file("making directory", dir)(error)),
                }
                self.attributes.own_new_dir(&parent, base)?;
                self.root.open_dir(dir).map_err(Error::file("opening", dir))
            }
            Err(e)
                if e.raw_os_error() == Some(Errno::NOTDIR.raw_os_error())
                    && self.options.whiteouts.is_overlay() =>
            {
                self.open_over_whiteout(dir)
                    .map_err(|error| error.unwrap_or_else(|| Error::file("opening", dir)(e)))
            }
            Err(e) => Err(Error::file("opening", dir)(e)),
        }
    }

    /// A directory this layer first said is gone and then puts something into: made anew, opaque. `Err(None)` if it is
    /// something else that is in the way.
    fn open_over_whiteout(&mut self, dir: &[u8]) -> std::result::Result<OwnedFd, Option<Error>> {
        let (above, base) = split(dir);
        if base.is_empty() {
            return Err(None);
        }
        let parent = self.open_parent(above)?.fd;
        let stat = rustix::fs::statat(&parent, os(base), AtFlags::SYMLINK_NOFOLLOW);
        if !stat.is_ok_and(|stat| is_overlay_whiteout(&stat)) {
            return Err(None);
        }
        self.remove(&parent, dir)?;
        let made = rustix::fs::mkdirat(&parent, os(base), Mode::from_raw_mode(0o755));
        made.map_err(Error::file("making directory", dir))?;
        self.options.whiteouts.make_opaque(parent.as_fd(), base).map_err(Error::file("marking", dir))?;
        self.attributes.own_new_dir(&parent, base)?;
        Ok(self.root.open_dir(dir).map_err(Error::file("opening", dir))?)
    }
}
