//! An empty volume gets what an image has at its place: one fill at a time, and whole or not at all.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use gantry_sys::tree::remove_dir_all;

use crate::error::io_of;
use crate::volumes::open_folder;
use crate::{VolumeError, Volumes, copy_tree, local};

/// Lies beside a volume's content while it is being filled.
const FILLING: &str = ".filling";

/// Which volumes are being filled.
#[derive(Default)]
pub(crate) struct Fills {
    under_way: Mutex<HashSet<String>>,
    ended: Condvar,
}

/// The right to fill a volume.
struct Turn<'a> {
    fills: &'a Fills,
    name: &'a str,
}

impl Fills {
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else fills the volume.
    fn turn<'a>(&'a self, name: &'a str) -> Turn<'a> {
        let taken = |under_way: &mut HashSet<String>| under_way.contains(name);
        let mut under_way = self.ended.wait_while(self.lock(), taken).unwrap_or_else(PoisonError::into_inner);
        under_way.insert(name.to_owned());
        Turn { fills: self, name }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.fills.lock().remove(self.name);
        self.fills.ended.notify_all();
    }
}

impl Volumes {
    /// Fills an empty volume with the image's content at its place: owner and mode of the folder itself too. A volume
    /// that holds anything stays as it is. Says whether it was filled. Who comes while another fills it waits for the end.
    pub fn copy_up(&self, name: &str, content: BorrowedFd<'_>) -> Result<bool, VolumeError> {
        let _turn = self.fills.turn(name);
        let path = self.data_path(name);
        let data = open_folder(&path).map_err(io_of(name, "open its folder"))?;
        let empty = fs::read_dir(&path).map_err(io_of(name, "read its folder"))?.next().is_none();
        if !empty {
            return Ok(false);
        }
        fs::write(self.mark(name), b"").map_err(io_of(name, "begin to fill it"))?;
        let copied = copy_tree(content, data.as_fd()).map_err(io_of(name, "copy the image's content"));
        // The one that asks is a holder itself.
        if copied.is_err() && self.holder_count(name) <= 1 {
            self.empty_again(name)?;
        }
        self.unmark(name)?;
        copied.map(|()| true)
    }

    /// The content is somebody's own from here on, and is never emptied as half a fill.
    pub(crate) fn unmark(&self, name: &str) -> Result<(), VolumeError> {
        match fs::remove_file(self.mark(name)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(io_of(name, "end to fill it")(err)),
            _ => Ok(()),
        }
    }

    /// Empties what a crash left half filled and nobody has used since. Before anybody can ask for it.
    pub(crate) fn finish_fills(&self, names: impl Iterator<Item = String>) -> Result<(), VolumeError> {
        for name in names {
            if !self.mark(&name).exists() {
                continue;
            }
            if self.holder_count(&name) == 0 {
                self.empty_again(&name)?;
            }
            self.unmark(&name)?;
        }
        Ok(())
    }

    fn mark(&self, name: &str) -> PathBuf {
        self.data_path(name).with_file_name(FILLING)
    }

    /// What is mounted over a volume is not ours alone, and stays.
    fn empty_again(&self, name: &str) -> Result<(), VolumeError> {
        if local::wants_mount(&self.get(name)?.options) {
            return Ok(());
        }
        empty(&self.data_path(name)).map_err(io_of(name, "empty it again"))
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_dir_all(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
