//! Documents name only what is there.

use std::path::{Path, PathBuf};

use gantry_house::root;

const ROOTS: &[&str] = &["crates/", "bin/", "docs/", "tests/", "bench/"];

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be read").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && !name.to_string_lossy().starts_with(['.', 't']) {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn every_path_a_document_names_exists() {
    let mut found = Vec::new();
    documents(&root(), &mut found);
    assert!(found.iter().any(|path| path.ends_with("README.md")));
    let mut missing = Vec::new();
    for document in found {
        let text = std::fs::read_to_string(&document).expect("a document is text");
        for word in text.split('`').skip(1).step_by(2) {
            let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
            if plain && ROOTS.iter().any(|root| word.starts_with(root)) && !root().join(word).exists() {
                missing.push(format!("{}: {word}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
