//! What the house tests read: the workspace as cargo sees it.
//!
//! Not a library for programs; only the tests beside it use it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The project's root folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this package lies two folders below the root").to_path_buf()
}

/// What `cargo metadata` says, from the lock file alone.
pub fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs: it started this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// One package of the resolved graph.
#[derive(Debug, Clone)]
pub struct Package {
    /// Name in the registry or workspace.
    pub name: String,
    /// Version, as text.
    pub version: String,
    /// SPDX expression; empty where the package names none.
    pub license: String,
    /// Whether it is one of ours.
    pub ours: bool,
    /// Ids of what it needs to run (no dev or build dependencies).
    pub needs: BTreeSet<String>,
}

/// The graph by package id.
pub fn packages(metadata: &Value) -> BTreeMap<String, Package> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut graph: BTreeMap<String, Package> = list(&metadata["packages"])
        .iter()
        .map(|package| {
            let found = Package {
                name: text(&package["name"]),
                version: text(&package["version"]),
                license: text(&package["license"]),
                ours: package["source"].is_null(),
                needs: BTreeSet::new(),
            };
            (text(&package["id"]), found)
        })
        .collect();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let needs =
            list(&node["deps"]).iter().filter(|dep| normal(dep)).map(|dep| text(&dep["pkg"])).collect();
        if let Some(package) = graph.get_mut(&text(&node["id"])) {
            package.needs = needs;
        }
    }
    graph
}

/// Names of everything that the package called `name` needs, directly or not, itself left out.
pub fn tree(graph: &BTreeMap<String, Package>, name: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = graph.iter().filter(|(_, p)| p.name == name).map(|(id, _)| id).collect();
    assert!(!open.is_empty(), "no package is called {name}");
    while let Some(id) = open.pop() {
        for need in &graph[id].needs {
            if seen.insert(need.clone()) {
                open.push(need);
            }
        }
    }
    seen.iter().map(|id| graph[id].name.clone()).collect()
}
