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

/// `[text](file.md#part)`: the file is there, and the part is one of its headings.
#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut found = Vec::new();
    documents(&root(), &mut found);
    let (mut dead, mut links) = (Vec::new(), 0);
    for document in found {
        let text = std::fs::read_to_string(&document).expect("a document is text");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.contains(' ') {
                continue;
            }
            links += 1;
            let (file, part) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.clone(),
                file => document.parent().expect("a file is in a folder").join(file),
            };
            let leads = path.exists() && (part.is_empty() || headings(&path).iter().any(|h| h == part));
            if !leads {
                dead.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(links > 30, "{links}");
}

/// Whoever reads from the first page to the last comes by every page.
#[test]
fn every_page_is_a_page_of_the_book() {
    let book = std::fs::read_to_string(root().join("docs/README.md")).expect("the book has an index");
    let pages = std::fs::read_dir(root().join("docs")).expect("a folder can be read").flatten();
    let names = pages.map(|page| page.file_name().to_string_lossy().into_owned());
    let missing: Vec<String> = names
        .filter(|name| name.ends_with(".md") && name != "README.md" && !book.contains(&format!("]({name})")))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// `own_client::*` beside a claim: there is a module of that name among the tests of the whole program.
#[test]
fn every_test_that_the_readme_points_at_is_there() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("a document is text");
    let program = root().join("crates/daemon/tests/program");
    let named = text.split('`').skip(1).step_by(2).filter_map(|word| word.strip_suffix("::*"));
    let (mut missing, mut count) = (Vec::new(), 0);
    for name in named {
        count += 1;
        // `build*` stands for several.
        let name = name.trim_end_matches('*').replace("::", "/");
        if !program.join(&name).is_dir() && !program.join(format!("{name}.rs")).is_file() {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(count > 10, "{count}");
}

/// The tables of published escapes: each names a test that is there, and no escape stands in two rows.
#[test]
fn every_published_escape_has_a_test_that_is_there() {
    let text = std::fs::read_to_string(root().join("docs/security.md")).expect("a document is text");
    let (_, tables) = text.split_once("## Published escapes").expect("the table is there");
    let (tables, _) = tables.split_once("\n## ").expect("another chapter follows");
    let (shut, elsewhere) = tables.split_once("### What does not concern us").expect("the second table");
    let mut sources = String::new();
    rust(&root().join("crates"), &mut sources);
    let rows = |table: &str| -> Vec<Vec<String>> {
        let lines = table.lines().filter(|line| line.starts_with("| 2") || line.starts_with("| GHSA"));
        lines.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
    };
    let (mut wrong, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    for row in rows(shut) {
        let tests = row[3].split('`').skip(1).step_by(2).filter(|word| !word.starts_with("crates/"));
        let missing: Vec<_> = tests
            .map(|name| name.rsplit("::").next().unwrap_or_default())
            .filter(|name| name.is_empty() || !sources.contains(&format!("fn {name}(")))
            .collect();
        if !missing.is_empty() || !row[3].contains('`') {
            wrong.push(format!("{}: {missing:?}", row[1]));
        }
    }
    for row in rows(shut).iter().chain(&rows(elsewhere)) {
        for name in row[1].split(", ").filter(|name| name.starts_with("20") || name.starts_with("GHSA")) {
            if !seen.insert(name.to_owned()) {
                wrong.push(format!("{name} stands there twice"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.len() > 100, "{}", seen.len());
}

/// All of a folder's Rust, one text.
fn rust(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&std::fs::read_to_string(&path).expect("a source is text"));
        }
    }
}

/// The headings of a document as a link names them.
fn headings(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let titles = text.lines().filter(|line| line.starts_with('#'));
    let name = |title: &str| {
        let letters = title.trim_start_matches('#').trim().to_lowercase();
        let kept = letters.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    titles.map(name).collect()
}
