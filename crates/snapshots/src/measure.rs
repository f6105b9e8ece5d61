//! How much space a tree takes.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::{Error, Result, Usage};

/// Apparent bytes of all files below `dir` (each inode once; directories have none, as in Docker) and how many inodes.
pub(crate) fn usage(dir: &Path) -> Result<Usage> {
    let mut total = Usage::default();
    let mut seen = HashSet::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            // A running container may remove it under us.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io("listing", &dir)(e)),
        };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.nlink() > 1 && !meta.is_dir() && !seen.insert(meta.ino()) {
                continue;
            }
            total.inodes += 1;
            if meta.is_dir() {
                left.push(entry.path());
            } else {
                total.bytes += meta.len();
            }
        }
    }
    Ok(total)
}
