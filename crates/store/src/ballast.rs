//! A file of reserved blocks beside the database, given up when the disk is full so that removing still works.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Enough for some dozen small copy-on-write commits of the database.
const BALLAST_BYTES: usize = 1 << 20;
/// How much of it is written at once: what there is no room for is not asked for again.
const PIECE_BYTES: usize = 64 << 10;

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

    /// Reserves the blocks that are missing, as many as there is room for. Failing is fine: the next calm moment tries
    /// again.
    pub(crate) fn refill(&self) {
        let missing = |file: &File| -> usize {
            let here = file.metadata().map_or(0, |meta| meta.len());
            BALLAST_BYTES.saturating_sub(usize::try_from(here).unwrap_or(usize::MAX))
        };
        let Ok(mut file) = OpenOptions::new().create(true).append(true).open(&self.path) else { return };
        // Real bytes, not a hole and not zeroes: blocks must be taken on every file system.
        while let at_once @ 1.. = missing(&file).min(PIECE_BYTES) {
            if file.write_all(&vec![0x5a; at_once]).is_err() {
                return;
            }
        }
    }
}
