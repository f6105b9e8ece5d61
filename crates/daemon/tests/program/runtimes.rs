//! Other runtimes than our own, by `daemon.json` and by flag.

use crate::harness::Engine;

const RUNC: &str = "/usr/sbin/runc";

/// crun 1.8 refuses this kind of host (version 1 and 2 of cgroups together): it gets a mount namespace without version 2.
fn crun(engine: &Engine) -> String {
    let path = engine.path("crun");
    let script = "#!/bin/sh\nexec unshare -m sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec /usr/bin/crun \"$@\"' crun \"$@\"\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn life(engine: &Engine, runtime: &str) {
    let run = ["run", "-d", "--name", "box", "--network", "none", "-m", "64m", "--runtime", runtime];
    engine.docker(run.into_iter().chain(["busybox", "sleep", "300"])).ok();
    assert_eq!(
        engine.inspect("box", "{{.HostConfig.Runtime}} {{.State.Running}}"),
        format!("{runtime} true")
    );
    assert_eq!(engine.docker(["exec", "box", "echo", "in"]).ok(), "in");
    engine.docker(["pause", "box"]).ok();
    engine.docker(["unpause", "box"]).ok();
    engine.docker(["update", "-m", "32m", "--memory-swap", "64m", "box"]).ok();
    engine.docker(["kill", "box"]).ok();
    assert_eq!(engine.docker(["wait", "box"]).ok(), "137");
    engine.docker(["rm", "box"]).ok();
    let rm = ["run", "--rm", "--network", "none", "--runtime", runtime, "busybox"];
    assert_eq!(engine.docker(rm.into_iter().chain(["sh", "-c", "echo out; exit 3"])).code, 3);
    let missing = engine.docker(["create", "--name", "none", "--runtime", runtime, "busybox", "/no/such"]);
    missing.ok();
    engine.docker(["start", "none"]).failed();
    assert_eq!(engine.inspect("none", "{{.State.ExitCode}}"), "127");
    engine.docker(["rm", "none"]).ok();
}

#[test]
fn runc_and_crun_by_the_configuration_and_by_flag() {
    let mut engine = Engine::start();
    engine.stop();
    let crun = crun(&engine);
    let json = format!(
        r#"{{"runtimes": {{"runc": {{"path": "{RUNC}"}}, "spare": {{"path": "{crun}"}}}}, "default-runtime": "runc"}}"#
    );
    std::fs::write(engine.path("daemon.json"), json).unwrap();
    engine.launch();
    assert_eq!(engine.docker(["info", "-f", "{{.DefaultRuntime}}"]).ok(), "runc");
    let info = engine.docker(["info", "-f", "{{json .Runtimes}}"]).ok();
    assert!(info.contains("\"runc\":{\"path\":\"/usr/sbin/runc\"") && info.contains("\"spare\""), "{info}");
    life(&engine, "runc");
    life(&engine, "spare");
    // The default is taken where none is asked for.
    engine.docker(["create", "--name", "plain", "busybox"]).ok();
    assert_eq!(engine.inspect("plain", "{{.HostConfig.Runtime}}"), "runc");
    let err = engine.docker(["run", "--rm", "--runtime", "nothing", "busybox"]).failed();
    assert!(err.contains("unknown or invalid runtime name: nothing"), "{err}");
    // An image of several layers is a mount that the shim makes for such a runtime.
    let mount = "type=image,source=busybox,target=/tools,image-subpath=bin";
    let run = ["run", "--rm", "--network", "none", "--runtime", "runc", "--mount", mount, "busybox"];
    assert_eq!(engine.docker(run.into_iter().chain(["ls", "/tools/sh"])).ok(), "/tools/sh");
}

#[test]
fn a_runtime_by_flag_survives_a_crash_of_the_engine() {
    let mut engine = Engine::with(&["--add-runtime", "other=/usr/sbin/runc"]);
    let run =
        ["run", "-d", "--name", "box", "--network", "none", "--runtime", "other", "busybox", "sleep", "300"];
    engine.docker(run).ok();
    engine.crash();
    engine.launch();
    assert_eq!(engine.inspect("box", "{{.State.Running}}"), "true");
    assert_eq!(engine.docker(["exec", "box", "echo", "still"]).ok(), "still");
    engine.docker(["stop", "-t", "0", "box"]).ok();
    engine.docker(["start", "box"]).ok();
    engine.docker(["rm", "-f", "box"]).ok();
}
