//! How much room a tree takes.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes of blocks a `stat` counts in.
const BLOCK_BYTES: u64 = 512;

/// Bytes on disk of everything beneath `root`, hard links counted once. What vanishes meanwhile is not counted.
pub fn tree_bytes(root: &Path) -> io::Result<u64> {
    let mut seen = HashSet::new();
    let mut todo = vec![root.to_owned()];
    let mut bytes = 0;
    while let Some(dir) = todo.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            Err(err) => return Err(err),
        };
        for entry in entries {
            let Ok(meta) = entry.as_ref().map_err(drop).and_then(|entry| entry.metadata().map_err(drop))
            else {
                continue;
            };
            if meta.is_dir() {
                todo.push(entry?.path());
            } else if meta.nlink() > 1 && !seen.insert((meta.dev(), meta.ino())) {
                continue;
            }
            // Docker counts what the files say, not their blocks; a sparse file counts what it takes.
            bytes += meta.len().min(meta.blocks() * BLOCK_BYTES);
        }
    }
    Ok(bytes)
}
