//! Every session of every document under `docs/` and of the README, against a fresh engine each.

use std::path::{Path, PathBuf};
use std::process::Command;

use gantry_sessions::engine::Engine;
use gantry_sessions::shell::Shell;
use gantry_sessions::{matches, steps};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("two folders below the root")
        .to_path_buf()
}

/// The `gantry` that was built beside this test, with its helpers named by `tests/all.sh`.
fn program() -> PathBuf {
    let beside = std::env::current_exe().expect("a test knows its file");
    let built = beside.ancestors().nth(2).expect("target/profile/deps").join("gantry");
    assert!(built.exists(), "{} is not built: run `make test`", built.display());
    built
}

/// All of them, or those whose path has the word that `DOCUMENT` names: for who writes one.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    for entry in std::fs::read_dir(root().join("docs")).expect("docs is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    let asked = std::env::var("DOCUMENT").unwrap_or_default();
    found.retain(|path| path.to_string_lossy().contains(&asked));
    found.sort();
    found
}

#[test]
fn every_session_of_every_document_goes_as_written() {
    let images = root().join(".test-images");
    let made = Command::new(root().join("tests/images.sh"))
        .arg(&images)
        .arg("busybox")
        .status()
        .expect("the script runs");
    assert!(made.success());
    let mut wrong = Vec::new();
    let mut replayed = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a document is text");
        let steps = steps(&text);
        if steps.is_empty() {
            continue;
        }
        let engine = Engine::start(&program());
        engine.load(&images.join("busybox.tar"));
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut shell = Shell::start(engine.environment(), folder.path());
        for step in steps {
            let output = shell.run(&step.command);
            replayed += 1;
            if !matches(&step.expected, &output) {
                let name = document.strip_prefix(root()).unwrap_or(&document).display();
                wrong.push(format!("{name}:{}\n$ {}\n{output}", step.line, step.command));
                break; // What follows builds on this step.
            }
        }
    }
    println!("{replayed} steps replayed");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(replayed > 0, "no document has a session");
}
