//! Objects as files. Written beside, synced, renamed, and the directory synced. New directories above it are not
//! synced one by one: ext4, xfs and btrfs make them durable with what is synced below them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::driver::{Driver, Entry, Source, Stat};

/// Somebody who takes directories away again and again gives up before we do.
const ATTEMPTS: usize = 8;

/// A directory as a place for objects.
pub struct Local {
    root: PathBuf,
    /// Half-written files, on the same filesystem; emptied at start.
    drafts: PathBuf,
    next_draft: AtomicU64,
    sync: bool,
}

impl Local {
    /// Opens `root`, making it when missing. `drafts` must be on the same filesystem and is emptied. Without
    /// `sync` a power failure may cost acknowledged pushes; a killed process never does.
    pub fn open(root: &Path, drafts: &Path, sync: bool) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        match fs::remove_dir_all(drafts) {
            Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
            _ => fs::create_dir_all(drafts)?,
        }
        Ok(Self { root: root.to_owned(), drafts: drafts.to_owned(), next_draft: AtomicU64::new(0), sync })
    }

    fn full(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        if self.sync { File::open(directory)?.sync_all() } else { Ok(()) }
    }

    /// Renames into place. A collector may take an empty directory away between its making and the rename:
    /// then it is made again.
    fn place(&self, from: &Path, to: &Path) -> io::Result<()> {
        let directory = to.parent().unwrap_or(&self.root);
        for _ in 0..ATTEMPTS {
            fs::create_dir_all(directory)?;
            match fs::rename(from, to) {
                Err(err) if err.kind() == ErrorKind::NotFound && from.exists() => continue,
                Err(err) => return Err(err),
                Ok(()) => return self.sync_directory(directory),
            }
        }
        Err(io::Error::other("the directory vanished again and again"))
    }
}

impl Driver for Local {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.full(path))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = self.drafts.join(self.next_draft.fetch_add(1, Ordering::Relaxed).to_string());
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&draft)?;
            file.write_all(bytes)?;
            if self.sync {
                file.sync_data()?;
            }
            self.place(&draft, &self.full(path))
        })();
        if written.is_err() {
            // The draft is of no use; should it stay, the next start empties the directory.
            fs::remove_file(&draft).ok();
        }
        written
    }

    fn mark(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let full = self.full(path);
        let directory = full.parent().unwrap_or(&self.root);
        // A collector may take the empty directory away in between.
        let mut attempts = 0;
        let mut file = loop {
            attempts += 1;
            fs::create_dir_all(directory)?;
            match File::create(&full) {
                Err(err) if err.kind() == ErrorKind::NotFound && attempts < ATTEMPTS => continue,
                opened => break opened?,
            }
        };
        file.write_all(bytes)?;
        if self.sync { file.sync_all() } else { Ok(()) }
    }

    fn stat(&self, path: &str) -> io::Result<Stat> {
        let metadata = fs::metadata(self.full(path))?;
        Ok(Stat { size: metadata.len(), modified: metadata.modified()? })
    }

    fn list(&self, directory: &str) -> io::Result<Vec<Entry>> {
        let entries = match fs::read_dir(self.full(directory)) {
            Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            other => other?,
        };
        entries
            .map(|entry| {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                Ok(Entry { name, directory: entry.file_type()?.is_dir() })
            })
            .collect()
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let full = self.full(path);
        let removed = match fs::symlink_metadata(&full) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&full),
            Ok(_) => fs::remove_file(&full),
            Err(err) => Err(err),
        };
        match removed {
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
            Err(err) => Err(err),
            Ok(()) => match full.parent() {
                Some(parent) if parent.exists() => self.sync_directory(parent),
                _ => Ok(()),
            },
        }
    }

    fn open(&self, path: &str, offset: u64, _: u64) -> io::Result<Source> {
        let mut file = File::open(self.full(path))?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        Ok(Source::File(file))
    }

    fn adopt(&self, staged: &Path, path: &str) -> io::Result<()> {
        self.place(staged, &self.full(path))
    }

    fn check(&self) -> io::Result<()> {
        fs::metadata(&self.root).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_listed_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let local = Local::open(root.path(), &root.path().join("drafts"), true).unwrap();
        local.write("a/b/c", b"one").unwrap();
        local.write("a/b/c", b"two").unwrap();
        assert_eq!(local.read("a/b/c").unwrap(), b"two");
        assert_eq!(local.stat("a/b/c").unwrap().size, 3);
        assert_eq!(local.list("a").unwrap(), [Entry { name: "b".into(), directory: true }]);
        local.remove("a").unwrap();
        local.remove("a").unwrap();
        assert_eq!(local.read("a/b/c").unwrap_err().kind(), ErrorKind::NotFound);
        assert!(local.list("a").unwrap().is_empty());
        assert!(fs::read_dir(root.path().join("drafts")).unwrap().next().is_none());
    }

    #[test]
    fn a_staged_file_is_moved_not_copied() {
        let root = tempfile::tempdir().unwrap();
        let local = Local::open(root.path(), &root.path().join("drafts"), true).unwrap();
        let staged = root.path().join("staged");
        fs::write(&staged, b"blob").unwrap();
        local.adopt(&staged, "x/y/data").unwrap();
        assert!(!staged.exists());
        assert_eq!(local.read("x/y/data").unwrap(), b"blob");
    }
}
