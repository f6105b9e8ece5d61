//! The program itself: its flags, its signals, its end.

use crate::harness::{Engine, PATIENCE, gantry};
use std::process::Command;

fn validate(dir: &std::path::Path, json: &str, flags: &[&str]) -> (bool, String) {
    let file = dir.join("daemon.json");
    std::fs::write(&file, json).unwrap();
    let output = Command::new(gantry())
        .args(["daemon", "--validate", "--config-file"])
        .arg(&file)
        .args(flags)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

#[test]
fn a_configuration_is_judged_before_anything_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(validate(dir.path(), r#"{"labels": ["a=b"]}"#, &["-D"]), (true, "configuration OK".into()));
    let (ok, told) = validate(dir.path(), r#"{"nonsense": 1}"#, &[]);
    assert!(!ok && told.ends_with("the following directives don't match any configuration option: nonsense"));
    let (ok, told) = validate(dir.path(), r#"{"debug": true}"#, &["--debug"]);
    assert!(!ok && told.contains("specified both as a flag and in the configuration file: debug: (from flag: true, from file: true)"));
    let (ok, told) = validate(dir.path(), "{", &[]);
    assert!(!ok && told.starts_with("unable to configure the Docker daemon with file "));
}

#[test]
fn called_dockerd_it_takes_dockerds_flags() {
    let dir = tempfile::tempdir().unwrap();
    let dockerd = dir.path().join("dockerd");
    std::os::unix::fs::symlink(gantry(), &dockerd).unwrap();
    let file = dir.path().join("daemon.json");
    std::fs::write(&file, "{}").unwrap();
    let output = Command::new(&dockerd)
        .args(["--validate", "--userland-proxy=false", "--containerd=/x", "--icc=false", "-s", "overlay"])
        .arg("--config-file")
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "configuration OK\n");
    let help = Command::new(&dockerd).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("--insecure-registry") && help.contains("--tlsverify"));
    assert!(!Command::new(&dockerd).arg("--no-such-flag").output().unwrap().status.success());
}

#[test]
fn one_folder_has_one_engine() {
    let engine = Engine::empty(&[]);
    let second = engine.command().output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("is still running"), "{second:?}");
    engine.docker(["ps"]).ok();
}

#[test]
fn sigterm_stops_containers_and_leaves_nothing() {
    let mut engine = Engine::start();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "box",
            "--stop-timeout",
            "1",
            "--network",
            "none",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    let pid: i32 = engine.inspect("box", "{{.State.Pid}}").parse().unwrap();
    assert_eq!(engine.stop(), 0);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(!engine.path("gantry.sock").exists() && !engine.path("pid").exists());
    engine.launch();
    assert_eq!(engine.inspect("box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
}

#[test]
fn with_live_restore_containers_run_on() {
    let mut engine = Engine::with(&["--live-restore"]);
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).ok();
    let pid = engine.inspect("box", "{{.State.Pid}}");
    assert_eq!(engine.stop(), 0);
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    engine.launch();
    assert_eq!(engine.inspect("box", "{{.State.Status}} {{.State.Pid}}"), format!("running {pid}"));
}

#[test]
fn sighup_reads_the_configuration_again() {
    let engine = Engine::empty(&[]);
    std::fs::write(engine.path("daemon.json"), r#"{"labels": ["stage=test"], "debug": true}"#).unwrap();
    engine.signal(rustix::process::Signal::HUP);
    engine.until(&["info", "-f", "{{json .Labels}}"], r#"["stage=test"]"#);
    engine.until(&["info", "-f", "{{.Debug}}"], "true");
    // A broken file changes nothing.
    std::fs::write(engine.path("daemon.json"), "{").unwrap();
    engine.signal(rustix::process::Signal::HUP);
    let begun = std::time::Instant::now();
    while !engine.log().contains("nothing is changed") {
        assert!(begun.elapsed() < PATIENCE, "{}", engine.log());
        engine.docker(["ps"]).ok();
    }
    assert_eq!(engine.docker(["info", "-f", "{{json .Labels}}"]).ok(), r#"["stage=test"]"#);
}
