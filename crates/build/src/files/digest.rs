//! The digest of a tree of files: what a COPY's cache key holds.
//!
//! Names, kinds, permission bits, owners, link targets, device numbers, extended attributes and contents count. Times
//! do not: a fresh checkout of the same files is the same.

use std::io::Read;

use gantry_dockerfile::ignore::Ignore;
use gantry_names::{Digest, Hasher};

use super::{Entry, EntryKind, FileError, Root};

/// Read at a time while hashing.
const CHUNK: usize = 128 << 10;

/// The digest of what stands at `path` below `root`, with what `ignore` excludes left out.
pub fn digest(root: &Root, ignore: &Ignore, path: &str) -> Result<Digest, FileError> {
    let mut hasher = Hasher::new();
    let mut open = vec![(path.to_owned(), String::new())];
    let mut buffer = vec![0; CHUNK];
    while let Some((path, relative)) = open.pop() {
        let top = relative.is_empty();
        let Some(entry) = root.stat(&path, top)? else { continue };
        if entry.kind == EntryKind::Folder {
            let mut below = Vec::new();
            for name in root.names(&path)? {
                let name = name.to_string_lossy().into_owned();
                let join = |base: &str| if base.is_empty() { name.clone() } else { format!("{base}/{name}") };
                below.push((join(&path), join(&relative)));
            }
            below.reverse();
            open.extend(below);
        }
        if ignore.excludes(&path) {
            continue;
        }
        header(&mut hasher, &relative, &entry);
        match entry.kind {
            EntryKind::Link => put(&mut hasher, root.link(&path)?.to_bytes()),
            EntryKind::File => content(&mut hasher, &mut root.file(&path)?, &path, &mut buffer)?,
            EntryKind::Folder | EntryKind::Other => {}
        }
    }
    Ok(hasher.finish())
}

fn put(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

fn header(hasher: &mut Hasher, path: &str, entry: &Entry) {
    let stat = &entry.stat;
    put(hasher, path.as_bytes());
    let size = if entry.kind == EntryKind::File { stat.st_size } else { 0 };
    let device = if entry.kind == EntryKind::Other { stat.st_rdev } else { 0 };
    put(hasher, format!("{:o} {} {} {size} {device}", stat.st_mode, stat.st_uid, stat.st_gid).as_bytes());
}

fn content(
    hasher: &mut Hasher,
    file: &mut std::fs::File,
    path: &str,
    buffer: &mut [u8],
) -> Result<(), FileError> {
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::io(path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn contents_names_and_modes_count_and_times_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let none = Ignore::default();
        let now = || digest(&Root::open(folder.path()).unwrap(), &none, "").unwrap();
        let first = now();
        std::fs::File::open(&file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(now(), first);
        std::fs::write(&file, "two").unwrap();
        let second = now();
        assert_ne!(second, first);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_ne!(now(), second);
        std::fs::rename(&file, folder.path().join("b")).unwrap();
        assert_ne!(now(), second);
        let ignore = Ignore::parse("b").unwrap();
        let root = Root::open(folder.path()).unwrap();
        let hidden = digest(&root, &ignore, "").unwrap();
        std::fs::write(folder.path().join("b"), "three").unwrap();
        assert_eq!(digest(&root, &ignore, "").unwrap(), hidden);
    }
}
