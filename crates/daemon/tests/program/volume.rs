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

#[test]
fn a_part_of_a_volume_is_mounted_and_no_link_leads_out_of_it() {
    let engine = Engine::start();
    let run = |mount: &str, script: &str| {
        engine.docker(["run", "--rm", "--network", "none", "--mount", mount, "busybox", "sh", "-c", script])
    };
    run("type=volume,source=vol,target=/v", "mkdir -p /v/a/b; echo deep > /v/a/b/file; ln -s /etc /v/out")
        .ok();
    let mount = |subpath: &str| format!("type=volume,source=vol,target=/x,volume-subpath={subpath}");
    assert_eq!(run(&mount("a/b"), "cat /x/file; ls /x").ok(), "deep\nfile");
    assert_eq!(run(&mount("a/b/file"), "cat /x").ok(), "deep");
    let err = run(&mount("nowhere"), "true").failed();
    assert!(err.contains("nowhere") && err.contains("cannot access path"), "{err}");
    // The link's goal is sought in the volume, where there is none.
    let err = run(&mount("out"), "true").failed();
    assert!(err.contains("cannot access path"), "{err}");
    let err = run(&mount("../x"), "true").failed();
    assert!(err.contains("subpath must be a relative path within the volume"), "{err}");
    assert_eq!(engine.docker(["ps", "-aq"]).ok(), "", "what could not start went with --rm");
}

#[test]
fn an_image_is_mounted_read_only_whole_or_in_part() {
    let engine = Engine::start();
    let made = ["run", "--name", "made", "--network", "none", "busybox", "sh", "-c"];
    engine
        .docker(made.into_iter().chain(["mkdir -p /app/bin; echo one > /app/bin/tool; ln -s /etc /app/out"]))
        .ok();
    engine.docker(["commit", "made", "tools"]).ok();
    engine.docker(["rm", "made"]).ok();
    let run = |mount: &str, script: &str| {
        engine.docker(["run", "--rm", "--network", "none", "--mount", mount, "busybox", "sh", "-c", script])
    };
    let whole = "type=image,source=tools,target=/tools";
    assert_eq!(run(whole, "cat /tools/app/bin/tool; ls -d /tools/bin/sh").ok(), "one\n/tools/bin/sh");
    let err = run(whole, "touch /tools/x").failed();
    assert!(err.contains("Read-only file system"), "{err}");
    let part = |subpath: &str| format!("type=image,source=tools,target=/tools,image-subpath={subpath}");
    assert_eq!(run(&part("app/bin"), "ls /tools").ok(), "tool");
    assert_eq!(run(&part("app/bin/tool"), "cat /tools").ok(), "one");
    assert_eq!(run(&part("app/out"), "cat /tools/hostname; grep -c ^root: /tools/passwd").stdout.trim(), "1");
    let err = run(&part("nowhere"), "true").failed();
    assert!(err.contains("cannot access path nowhere of the image"), "{err}");

    engine
        .docker([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "--mount",
            whole,
            "busybox",
            "sleep",
            "300",
        ])
        .ok();
    let format = "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}";
    assert_eq!(engine.inspect("box", format), "image tools /tools false");
    let err = engine.docker(["rmi", "tools"]).failed();
    assert!(err.contains("is using"), "{err}");
    let host = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!host.contains(engine.path("run").to_str().unwrap()), "the host sees nothing of it: {host}");
    engine.docker(["restart", "-t", "0", "box"]).ok();
    assert_eq!(engine.docker(["exec", "box", "cat", "/tools/app/bin/tool"]).ok(), "one");
    engine.docker(["rm", "-f", "box"]).ok();
    engine.docker(["rmi", "tools"]).ok();
}
