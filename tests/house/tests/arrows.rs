//! Crate arrows point down, and the two houses never touch. ARCHITECTURE.md says why.

use std::collections::BTreeSet;

use gantry_house::{metadata, packages, root, tree};

/// Every crate and its floor. A crate may need crates of lower floors only.
const FLOORS: &[(u8, &[&str])] = &[
    (1, &["gantry-names", "gantry-errdefs", "gantry-sys"]),
    (
        2,
        &[
            "gantry-api",
            "gantry-shim-protocol",
            "gantry-events",
            "gantry-store",
            "gantry-cgroups",
            "gantry-netlink",
            "gantry-dockerfile",
            "gantry-compose-file",
            "gantry-distribution",
            "gantry-git",
            "gantry-logs",
            "gantry-template",
            "gantry-seccomp",
            "gantry-archive",
            "gantry-embedded",
        ],
    ),
    (
        3,
        &[
            "gantry-content",
            "gantry-snapshots",
            "gantry-runtime-lib",
            "gantry-shim-lib",
            "gantry-shim-client",
            "gantry-network",
            "gantry-volumes",
            "gantry-client",
            "gantry-buildkit",
            "gantry-registry-stores",
        ],
    ),
    (4, &["gantry-images", "gantry-registry", "gantry-compose"]),
    (5, &["gantry-engine", "gantry-build", "gantry-solver", "gantry-cli"]),
    (6, &["gantry-server"]),
    (7, &["gantry-daemon"]),
    (8, &["gantry", "gantry-shim", "gantry-runtime"]),
];

/// Arrows within one floor that were thought about: (from, to).
const BESIDE: &[(&str, &str)] = &[
    // The shim drives the runtime it links; both are synchronous and of one house.
    ("gantry-shim-lib", "gantry-runtime-lib"),
    // The compose commands are a part of the command line.
    ("gantry-cli", "gantry-compose"),
    // BuildKit's protocol is a door to the builder.
    ("gantry-solver", "gantry-build"),
    // An image is blobs, and layers made of them.
    ("gantry-snapshots", "gantry-content"),
];

const DAEMON_HOUSE: &[&str] = &[
    "gantry-server",
    "gantry-engine",
    "gantry-build",
    "gantry-solver",
    "gantry-images",
    "gantry-content",
    "gantry-snapshots",
    "gantry-network",
    "gantry-volumes",
    "gantry-shim-client",
    "gantry-events",
    "gantry-store",
    "gantry-daemon",
];
const CLIENT_HOUSE: &[&str] = &["gantry-cli", "gantry-compose", "gantry-client"];
const SYNCHRONOUS: &[&str] = &[
    "gantry-sys",
    "gantry-cgroups",
    "gantry-netlink",
    "gantry-runtime-lib",
    "gantry-shim-lib",
    "gantry-shim",
    "gantry-runtime",
    "gantry-logs",
    "gantry-archive",
    "gantry-embedded",
    "gantry-seccomp",
];

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, names)| names.contains(&name)).map(|(floor, _)| *floor)
}

#[test]
fn every_crate_has_a_floor_and_needs_only_lower_ones() {
    let graph = packages(&metadata());
    let mut wrong = BTreeSet::new();
    for package in
        graph.values().filter(|p| p.ours && !p.name.ends_with("-house") && p.name != "gantry-sessions")
    {
        let Some(from) = floor(&package.name) else {
            wrong.insert(format!("{} has no floor", package.name));
            continue;
        };
        for need in package.needs.iter().map(|id| &graph[id]).filter(|p| p.ours) {
            let to = floor(&need.name).unwrap_or(u8::MAX);
            if to >= from && !BESIDE.contains(&(package.name.as_str(), need.name.as_str())) {
                wrong.insert(format!("{} (floor {from}) needs {} (floor {to})", package.name, need.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_houses_of_daemon_and_client_never_touch() {
    let graph = packages(&metadata());
    let touches = |from: &[&str], to: &[&str]| -> Vec<String> {
        from.iter()
            .flat_map(|one| {
                let needs = tree(&graph, one);
                to.iter()
                    .filter(move |other| needs.contains(**other))
                    .map(move |other| format!("{one} needs {other}"))
            })
            .collect()
    };
    assert_eq!(touches(DAEMON_HOUSE, CLIENT_HOUSE), Vec::<String>::new());
    assert_eq!(touches(CLIENT_HOUSE, DAEMON_HOUSE), Vec::<String>::new());
}

#[test]
fn only_the_server_and_the_clients_know_the_wire_types() {
    let graph = packages(&metadata());
    let allowed =
        ["gantry-server", "gantry-client", "gantry-cli", "gantry-compose", "gantry-daemon", "gantry"];
    let knowing: Vec<_> = graph
        .values()
        .filter(|p| p.ours && p.needs.iter().any(|id| graph[id].name == "gantry-api"))
        .map(|p| p.name.as_str())
        .filter(|name| !allowed.contains(name))
        .collect();
    assert_eq!(knowing, Vec::<&str>::new());
}

#[test]
fn the_synchronous_crates_have_no_tokio_in_their_tree() {
    let graph = packages(&metadata());
    let asynchronous: Vec<_> =
        SYNCHRONOUS.iter().filter(|name| tree(&graph, name).contains("tokio")).collect();
    assert_eq!(asynchronous, Vec::<&&str>::new());
}

#[test]
fn a_build_step_runs_through_the_shim_not_through_the_engine() {
    assert!(!tree(&packages(&metadata()), "gantry-build").contains("gantry-engine"));
}

#[test]
fn only_sys_may_hold_unsafe_code() {
    let crates = std::fs::read_dir(root().join("crates")).expect("the crates folder is there");
    let programs = std::fs::read_dir(root().join("bin")).expect("the bin folder is there");
    for folder in crates.chain(programs).map(|entry| entry.expect("a folder entry").path()) {
        let manifest =
            std::fs::read_to_string(folder.join("Cargo.toml")).expect("every crate has a manifest");
        let inherits = manifest.contains("[lints]\nworkspace = true");
        assert_eq!(inherits, !folder.ends_with("crates/sys"), "lints of {}", folder.display());
    }
}
