//! Volumes under the original client.

use crate::harness::Engine;

#[test]
fn named_volumes_outlive_containers() {
    let engine = Engine::start();
    assert_eq!(engine.docker(["volume", "create", "--label", "a=b", "vol"]).ok(), "vol");
    engine
        .docker([
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            "vol:/data",
            "busybox",
            "sh",
            "-c",
            "echo kept > /data/file",
        ])
        .ok();
    assert_eq!(
        engine
            .docker([
                "run",
                "--rm",
                "--network",
                "none",
                "-v",
                "vol:/data:ro",
                "busybox",
                "cat",
                "/data/file"
            ])
            .ok(),
        "kept"
    );
    let mountpoint = engine.docker(["volume", "inspect", "-f", "{{.Mountpoint}}", "vol"]).ok();
    assert_eq!(std::fs::read_to_string(format!("{mountpoint}/file")).unwrap(), "kept\n");
    engine.docker(["create", "--name", "box", "--network", "none", "-v", "vol:/data", "busybox"]).ok();
    let err = engine.docker(["volume", "rm", "vol"]).failed();
    assert!(err.contains("remove vol: volume is in use - ["), "{err}");
    engine.docker(["rm", "box"]).ok();
    assert_eq!(engine.docker(["volume", "ls", "-q", "-f", "label=a=b"]).ok(), "vol");
    assert_eq!(engine.docker(["volume", "rm", "vol"]).ok(), "vol");
    let err = engine.docker(["volume", "inspect", "vol"]).failed();
    assert!(err.contains("no such volume"), "{err}");
}

#[test]
fn anonymous_volumes_go_with_their_container() {
    let engine = Engine::start();
    engine.docker(["run", "--rm", "--network", "none", "-v", "/data", "busybox", "true"]).ok();
    assert_eq!(engine.docker(["volume", "ls", "-q"]).ok(), "");
    engine
        .docker([
            "create",
            "--name",
            "box",
            "--network",
            "none",
            "-v",
            "/etc",
            "busybox",
            "cat",
            "/etc/passwd",
        ])
        .ok();
    assert!(
        engine.docker(["start", "-a", "box"]).ok().starts_with("root:x:0:0"),
        "the image's content is copied up"
    );
    let other = engine
        .docker(["run", "--rm", "--network", "none", "--volumes-from", "box", "busybox", "ls", "/etc"])
        .ok();
    assert!(other.contains("passwd"), "{other}");
    engine.docker(["rm", "-v", "box"]).ok();
    assert_eq!(engine.docker(["volume", "ls", "-q"]).ok(), "");
}

#[test]
fn binds_are_made_with_v_and_refused_with_mount() {
    let engine = Engine::start();
    let missing = engine.path("made").display().to_string();
    engine
        .docker([
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            &format!("{missing}:/x"),
            "busybox",
            "touch",
            "/x/y",
        ])
        .ok();
    assert!(engine.path("made/y").exists());
    let err = engine
        .docker([
            "run",
            "--rm",
            "--network",
            "none",
            "--mount",
            "type=bind,source=/no/such,target=/x",
            "busybox",
        ])
        .failed();
    assert!(
        err.contains("invalid mount config for type \"bind\": bind source path does not exist: /no/such"),
        "{err}"
    );
}
