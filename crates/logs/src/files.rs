//! The names of a log's files, and the lock under which names change.
//!
//! `<name>` is the current file, `<name>.1` the one before, `<name>.2.gz` one that is compressed. Each has its index:
//! `.<name>.index`, `.<name>.1.index`, ... The lock is `flock` on the folder: the writer takes it alone to rotate, the
//! compressor to give a compressed file its name, readers together to open a consistent set. It is held for a handful
//! of system calls.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A log's names.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    folder: PathBuf,
    name: OsString,
}

/// The lock; dropping it releases.
#[derive(Debug)]
pub(crate) struct Lock {
    _folder: File,
}

/// A file that is not current any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Old {
    pub number: u32,
    pub compressed: bool,
}

impl Files {
    pub fn of(path: &Path) -> io::Result<Files> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Files { folder, name })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn current(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    pub fn current_index(&self) -> PathBuf {
        self.hidden(".index")
    }

    /// Where the next current file is prepared.
    pub fn next(&self) -> PathBuf {
        self.hidden(".new")
    }

    pub fn next_index(&self) -> PathBuf {
        self.hidden(".new.index")
    }

    pub fn old(&self, old: &Old) -> PathBuf {
        let ending = if old.compressed { ".gz" } else { "" };
        self.folder.join(join(&self.name, &format!(".{}{ending}", old.number)))
    }

    pub fn old_index(&self, number: u32) -> PathBuf {
        self.hidden(&format!(".{number}.index"))
    }

    pub fn hidden(&self, ending: &str) -> PathBuf {
        self.folder.join(join(&join(OsStr::new("."), &self.name.to_string_lossy()), ending))
    }

    /// Alone, if it can be had at once.
    pub fn lock_alone_now(&self) -> io::Result<Option<Lock>> {
        let folder = File::open(&self.folder)?;
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { _folder: folder })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    pub fn lock_alone(&self) -> io::Result<Lock> {
        self.lock(FlockOperation::LockExclusive)
    }

    pub fn lock_shared(&self) -> io::Result<Lock> {
        self.lock(FlockOperation::LockShared)
    }

    fn lock(&self, how: FlockOperation) -> io::Result<Lock> {
        let folder = File::open(&self.folder)?;
        rustix::io::retry_on_intr(|| flock(&folder, how))?;
        Ok(Lock { _folder: folder })
    }

    /// The old files, the oldest first. Where a crash has left a file both plain and compressed, the plain one counts.
    pub fn list_old(&self) -> io::Result<Vec<Old>> {
        let prefix = format!("{}.", self.name.to_string_lossy());
        let mut found: Vec<Old> = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let name = file?.file_name();
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(&prefix)) else { continue };
            let (number, compressed) = match rest.strip_suffix(".gz") {
                Some(number) => (number, true),
                None => (rest, false),
            };
            if let Ok(number) = number.parse::<u32>()
                && number > 0
            {
                found.push(Old { number, compressed });
            }
        }
        found.sort_by_key(|old| (std::cmp::Reverse(old.number), old.compressed));
        found.dedup_by_key(|old| old.number);
        Ok(found)
    }
}

fn join(name: &OsStr, ending: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(ending);
    name
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

/// Renames a file that may not be there.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

/// A second view of a file, at a place of its own.
pub(crate) fn at(file: &File, offset: u64) -> At<'_> {
    At { file, offset }
}

/// Reads a file from a place, without moving anybody else's.
#[derive(Debug)]
pub(crate) struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl io::Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = std::os::unix::fs::FileExt::read_at(self.file, into, self.offset)?;
        self.offset += got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_files_are_listed_oldest_first_and_once() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "c.log",
            "c.log.1",
            "c.log.2",
            "c.log.2.gz",
            "c.log.10.gz",
            "c.log.x",
            "other.log.3",
            ".c.log.1.index",
        ] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        let files = Files::of(&dir.path().join("c.log")).unwrap();
        let old: Vec<_> =
            files.list_old().unwrap().into_iter().map(|old| (old.number, old.compressed)).collect();
        assert_eq!(old, [(10, true), (2, false), (1, false)]);
    }
}
