//! Changes below folders, as the kernel tells them (inotify(7)).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::sync::mpsc::UnboundedSender;

/// What counts as a change: written and closed, made, moved, removed, or given another mode.
fn changes() -> WatchFlags {
    WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE
        | WatchFlags::ATTRIB
}

/// All that is below a path, itself not when it is a folder.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    walk(path, &mut |path, is_dir| {
        if !is_dir {
            all.push(path.to_owned());
        }
    });
    all
}

fn walk(path: &Path, seen: &mut dyn FnMut(&Path, bool)) {
    let is_dir = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    seen(path, is_dir);
    if !is_dir || path.file_name() == Some(OsStr::new(".git")) {
        return;
    }
    // A folder that is gone meanwhile has nothing to see.
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        walk(&entry.path(), seen);
    }
}

/// Tells every change below the paths, from a thread of its own that ends with the program.
pub fn watch(paths: Vec<PathBuf>, sender: UnboundedSender<PathBuf>) -> io::Result<()> {
    let watcher = inotify::init(CreateFlags::CLOEXEC)?;
    let mut known = HashMap::new();
    for path in &paths {
        add(&watcher, path, &mut known)?;
    }
    std::thread::spawn(move || {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&watcher, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            };
            let Some(folder) = known.get(&event.wd()).cloned() else { continue };
            let path = match event.file_name() {
                Some(name) => Path::new(&folder).join(OsStr::from_bytes(name.to_bytes())),
                None => PathBuf::from(&folder),
            };
            let new_folder = event.events().contains(ReadFlags::ISDIR)
                && event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            if new_folder {
                // What was put into it before we looked has no event of its own.
                let _ = add(&watcher, &path, &mut known);
                for inside in files(&path) {
                    if sender.send(inside).is_err() {
                        return;
                    }
                }
            }
            if sender.send(path).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn add(watcher: &OwnedFd, path: &Path, known: &mut HashMap<i32, PathBuf>) -> io::Result<()> {
    let mut failed = None;
    walk(path, &mut |found, is_dir| {
        // A file is watched by its folder, but for one that is named itself.
        if is_dir || found == path {
            match inotify::add_watch(watcher, found, changes()) {
                Ok(number) => drop(known.insert(number, found.to_owned())),
                Err(errno) => drop(failed.get_or_insert((found.to_owned(), errno))),
            }
        }
    });
    match failed {
        Some((path, errno)) => Err(io::Error::new(
            io::Error::from(errno).kind(),
            format!("cannot watch {}: {errno}", path.display()),
        )),
        None => Ok(()),
    }
}
