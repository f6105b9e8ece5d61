//! Images under the original client.

use crate::harness::{Engine, busybox};

#[test]
fn load_list_tag_remove() {
    let engine = Engine::empty(&[]);
    let said = engine.docker(["load", "-i", &busybox().display().to_string()]).ok();
    assert!(said.ends_with("Loaded image: busybox:latest"), "{said}");
    assert_eq!(engine.docker(["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok(), "busybox:latest");
    let id = engine.docker(["images", "-q", "--no-trunc"]).ok();
    engine.docker(["tag", "busybox", "other:v2"]).ok();
    assert_eq!(engine.docker(["image", "inspect", "-f", "{{len .RepoTags}}", "busybox"]).ok(), "2");
    assert_eq!(engine.docker(["rmi", "other:v2"]).ok(), "Untagged: other:v2");
    engine.docker(["create", "--name", "box", "--network", "none", "busybox"]).ok();
    let err = engine.docker(["rmi", "busybox"]).failed();
    assert!(
        err.contains("conflict: unable to remove repository reference \"busybox\" (must force)"),
        "{err}"
    );
    engine.docker(["rm", "box"]).ok();
    let removed = engine.docker(["rmi", "busybox"]).ok();
    assert!(removed.starts_with(&format!("Untagged: busybox:latest\nDeleted: {id}")), "{removed}");
    assert_eq!(engine.docker(["images", "-q"]).ok(), "");
    let err = engine.docker(["image", "inspect", "busybox"]).failed();
    assert!(err.contains("No such image: busybox"), "{err}");
}

#[test]
fn save_and_load_again() {
    let engine = Engine::start();
    let id = engine.docker(["images", "-q", "--no-trunc"]).ok();
    let tar = engine.path("saved.tar");
    engine.docker(["save", "-o", &tar.display().to_string(), "busybox"]).ok();
    engine.docker(["rmi", "busybox"]).ok();
    engine.docker(["load", "-i", &tar.display().to_string()]).ok();
    assert_eq!(engine.docker(["images", "-q", "--no-trunc"]).ok(), id);
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "busybox", "echo", "hi"]).ok(), "hi");
    let err = engine.docker(["save", "-o", &tar.display().to_string(), "nonsense"]).failed();
    assert!(err.contains("No such image: nonsense") || err.contains("reference does not exist"), "{err}");
}

#[test]
fn archives_that_are_none() {
    let engine = Engine::empty(&[]);
    let bad = engine.path("bad.tar");
    std::fs::write(&bad, vec![7; 4096]).unwrap();
    assert_ne!(engine.docker(["load", "-i", &bad.display().to_string()]).code, 0);
    let cut = engine.path("cut.tar");
    let whole = std::fs::read(busybox()).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    assert_ne!(engine.docker(["load", "-i", &cut.display().to_string()]).code, 0);
    assert_eq!(engine.docker(["images", "-q"]).ok(), "", "nothing is half there");
}

#[test]
fn history_and_filters() {
    let engine = Engine::start();
    assert_eq!(engine.docker(["history", "--format", "{{.CreatedBy}}", "busybox"]).ok(), "tests/images.sh");
    assert_eq!(
        engine.docker(["images", "-f", "reference=busy*", "--format", "{{.Repository}}"]).ok(),
        "busybox"
    );
    assert_eq!(engine.docker(["images", "-f", "reference=other*", "-q"]).ok(), "");
    assert_eq!(engine.docker(["images", "-f", "dangling=true", "-q"]).ok(), "");
    assert_eq!(engine.docker(["image", "prune", "-af"]).ok().lines().next(), Some("Deleted Images:"));
}
