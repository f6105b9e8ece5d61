//! Licences, advisories and costly dependencies, checked from the lock file with no network.

use gantry_house::{metadata, packages, root};

/// SPDX names we may ship. An expression passes when one alternative of each part is here.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unicode-3.0",
    "CC0-1.0",
    "Unlicense",
    "BSL-1.0",
    "MPL-2.0",
    "CDLA-Permissive-2.0",
    "bzip2-1.0.6",
    "MIT-0",
];

/// Brought in by many crates' default features; each costs minutes of compile time or a C tool chain.
const BANNED: &[&str] = &[
    "aws-lc-sys",
    "aws-lc-rs",
    "openssl-sys",
    "openssl",
    "native-tls",
    "cmake",
    "libz-ng-sys",
    "bindgen",
    "serde_yaml",
    "libseccomp-sys",
    "async-std",
];

fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let plain = expression.replace(['(', ')'], "");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|one| LICENCES.contains(&one.trim())))
}

#[test]
fn every_dependency_has_a_licence_we_may_ship() {
    let wrong: Vec<_> = packages(&metadata())
        .into_values()
        .filter(|package| !allowed(&package.license))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_banned_dependency_came_in_by_a_default_feature() {
    let graph = packages(&metadata());
    let found: Vec<_> =
        graph.values().map(|p| p.name.as_str()).filter(|name| BANNED.contains(name)).collect();
    assert_eq!(found, Vec::<&str>::new());
}

/// `advisories.tsv`: crate, first mended version, identifier. Kept by hand from the public advisory list.
#[test]
fn no_dependency_has_a_known_advisory() {
    let list = std::fs::read_to_string(root().join("tests/house/advisories.tsv")).expect("the list is there");
    let graph = packages(&metadata());
    let mut known = 0;
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let [name, mended, id] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns: {line:?}")
        };
        known += 1;
        for package in graph.values().filter(|p| p.name == name) {
            assert!(
                numbers(&package.version) >= numbers(mended),
                "{name} {} has {id}; mended in {mended}",
                package.version
            );
        }
    }
    assert!(known > 0, "the list is empty");
}

fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    assert!(allowed("MIT OR GPL-3.0"));
    assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(allowed("MIT/Apache-2.0"));
    assert!(!allowed("GPL-3.0"));
    assert!(!allowed("MIT AND GPL-3.0"));
    assert!(!allowed(""));
}
