//! Waiting for the disk: at once for what is small, in the background for large committed snapshots.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::shelf::UNSYNCED;
use crate::{Error, Result, mount};

/// Syncs the file system after commits, once for all that were committed meanwhile, and takes their marks away. It has a
/// thread only while there is work, and is waited for when it is dropped.
#[derive(Debug)]
pub(crate) struct Syncer {
    root: PathBuf,
    queue: Arc<Mutex<Queue>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Queue {
    dirs: Vec<PathBuf>,
    running: bool,
}

impl Syncer {
    pub(crate) fn new(root: &Path) -> Syncer {
        Syncer { root: root.to_owned(), queue: Arc::default(), thread: Mutex::default() }
    }

    /// Has what is in `dir` written to the disk soon.
    pub(crate) fn push(&self, dir: PathBuf) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.dirs.push(dir);
        if queue.running {
            return;
        }
        queue.running = true;
        drop(queue);
        let (root, queue) = (self.root.clone(), Arc::clone(&self.queue));
        let thread = thread::spawn(move || work(&root, &queue));
        let last = self.thread.lock().unwrap_or_else(PoisonError::into_inner).replace(thread);
        // It has said that it ends.
        last.map(JoinHandle::join);
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        let last = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.map(JoinHandle::join);
    }
}

fn work(root: &Path, queue: &Mutex<Queue>) {
    loop {
        let dirs = {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.dirs.is_empty() {
                queue.running = false;
                return;
            }
            std::mem::take(&mut queue.dirs)
        };
        if mount::sync(root).is_ok() {
            for dir in dirs {
                // Removed meanwhile, or (a full disk never hinders a removal of a name) tried again at the next open.
                let _ = fs::remove_file(dir.join(UNSYNCED));
            }
        }
    }
}

/// What tells this run of the kernel from others.
pub(crate) fn boot_id() -> String {
    let read = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

/// What is in a directory, to the disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io("syncing", dir))
}

/// Every file and directory below `dir`, and itself, to the disk.
pub(crate) fn sync_tree(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::io("listing", dir))? {
        let entry = entry.map_err(Error::io("listing", dir))?;
        let kind = entry.file_type().map_err(Error::io("reading", &entry.path()))?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())
                .and_then(|file| file.sync_all())
                .map_err(Error::io("syncing", &entry.path()))?;
        }
    }
    sync_dir(dir)
}
