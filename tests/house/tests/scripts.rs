//! A file that says by its first line what runs it can be run.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gantry_house::root;

fn scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be read").flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            scripts(&path, found);
        } else if std::fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"#!/")) {
            found.push(path);
        }
    }
}

#[test]
fn every_script_can_be_executed() {
    let mut found = Vec::new();
    for folder in [".ci", "bench", "fuzz", "packaging", "tests"] {
        scripts(&root().join(folder), &mut found);
    }
    assert!(found.iter().any(|path| path.ends_with("tests/all.sh")));
    let closed = |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 == 0);
    let closed: Vec<_> = found.into_iter().filter(closed).collect();
    assert!(closed.is_empty(), "{closed:#?}");
}
