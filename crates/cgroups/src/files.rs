//! Reading and writing the small files of a hierarchy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::{Error, Result};

/// One write of the whole value, as the kernel wants it.
pub(crate) fn write_raw(folder: &Path, file: &str, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(folder.join(file))?.write_all(value.as_bytes())
}

/// As [`write_raw`], with an error that says what was tried.
pub(crate) fn write(folder: &Path, file: &str, value: &str) -> Result<()> {
    write_raw(folder, file, value).map_err(|cause| Error::Io {
        what: format!("failed to write \"{value}\" to {}", folder.join(file).display()),
        cause,
    })
}

/// The text of a file, without the newline.
pub(crate) fn read(folder: &Path, file: &str) -> Result<String> {
    read_raw(&folder.join(file))
        .map_err(|cause| Error::Io { what: format!("failed to read {}", folder.join(file).display()), cause })
}

/// The text of a file; `None` where this kernel has no such file.
pub(crate) fn read_maybe(folder: &Path, file: &str) -> Option<String> {
    read_raw(&folder.join(file)).ok()
}

fn read_raw(path: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(256);
    File::open(path)?.read_to_string(&mut text)?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// A number; version 2's `max` is `None`.
pub(crate) fn number(folder: &Path, file: &str) -> Option<u64> {
    read_maybe(folder, file)?.trim().parse().ok()
}

/// The value behind a key of a `key value` file.
pub(crate) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The process numbers in a folder's `cgroup.procs`; a folder that is gone has none.
pub(crate) fn pids_of(folder: &Path) -> Result<Vec<i32>> {
    match read_raw(&folder.join("cgroup.procs")) {
        Ok(text) => Ok(text.lines().filter_map(|l| l.parse().ok()).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(19) => Ok(Vec::new()),
        Err(cause) => Err(Error::Io {
            what: format!("failed to read {}", folder.join("cgroup.procs").display()),
            cause,
        }),
    }
}

/// The folders below, deepest first, the folder itself last.
pub(crate) fn tree(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    if let Ok(entries) = fs::read_dir(folder) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                all.extend(tree(&entry.path()));
            }
        }
    }
    all.push(folder.to_path_buf());
    all
}
