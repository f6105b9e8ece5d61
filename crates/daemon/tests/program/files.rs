//! Files into and out of containers.

use crate::harness::Engine;

#[test]
fn cp_goes_both_ways() {
    let engine = Engine::start();
    engine.docker(["create", "--name", "box", "--network", "none", "busybox", "cat", "/tmp/in"]).ok();
    let file = engine.path("file");
    std::fs::write(&file, "from the host").unwrap();
    engine.docker(["cp", &file.display().to_string(), "box:/tmp/in"]).ok();
    assert_eq!(engine.docker(["start", "-a", "box"]).ok(), "from the host");
    let back = engine.path("back");
    engine.docker(["cp", "box:/tmp/in", &back.display().to_string()]).ok();
    assert_eq!(std::fs::read_to_string(back).unwrap(), "from the host");
    let tar = engine.docker(["cp", "box:/etc/passwd", "-"]);
    assert!(tar.stdout.contains("root:x:0:0"), "{tar:?}");
    let err = engine.docker(["cp", "box:/no/such", "-"]).failed();
    assert!(err.contains("Could not find the file /no/such in container box"), "{err}");
    let err = engine.docker(["cp", &file.display().to_string(), "box:/no/such/folder/"]).failed();
    assert!(err.contains("no such directory") || err.contains("Could not find"), "{err}");
}

#[test]
fn a_file_system_comes_out_whole_and_back_as_an_image() {
    let engine = Engine::start();
    engine
        .docker(["run", "--name", "box", "--network", "none", "busybox", "sh", "-c", "echo kept > /kept"])
        .ok();
    let tar = engine.path("fs.tar");
    engine.docker(["export", "-o", &tar.display().to_string(), "box"]).ok();
    let id = engine
        .docker([
            "import",
            "-m",
            "a note",
            "-c",
            "CMD [\"cat\", \"/kept\"]",
            &tar.display().to_string(),
            "flat:v1",
        ])
        .ok();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "flat:v1"]).ok(), "kept");
}

#[test]
fn commit_keeps_what_was_changed() {
    let engine = Engine::start();
    engine
        .docker(["run", "--name", "box", "--network", "none", "busybox", "sh", "-c", "echo new > /new"])
        .ok();
    let id = engine
        .docker(["commit", "-a", "me", "-m", "why", "-c", "ENV X=y", "-c", "CMD cat /new", "box", "made:1"])
        .ok();
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "made:1"]).ok(), "new");
    let said = engine
        .docker(["image", "inspect", "-f", "{{.Id}} {{.Author}} {{.Comment}} {{.Config.Env}}", "made:1"])
        .ok();
    assert!(said.starts_with(&format!("{id} me why [")) && said.contains("X=y"), "{said}");
}
