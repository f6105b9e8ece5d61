//! A file of reserved blocks beside the database, given up when the disk is full so that removing still works.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Enough for some dozen small copy-on-write commits of the database.
const BALLAST_BYTES: usize = 1 << 20;

pub(crate) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    pub(crate) fn beside(database: &Path) -> Ballast {
        Ballast { path: database.with_extension("ballast") }
    }

    /// Frees the blocks; says whether there were any.
    pub(crate) fn drop_it(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    /// Reserves the blocks again if they are gone and there is room. Failing is fine: the next calm moment tries again.
    pub(crate) fn refill(&self) {
        if self.path.exists() {
            return;
        }
        // Real bytes, not a hole and not zeroes: blocks must be taken on every file system.
        let written =
            File::create(&self.path).and_then(|mut file| file.write_all(&vec![0x5a; BALLAST_BYTES]));
        if written.is_err() {
            let _ = fs::remove_file(&self.path);
        }
    }
}
