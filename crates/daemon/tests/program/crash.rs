//! `kill -9` of the engine: no container notices, nothing acknowledged is lost.

use crate::harness::{Engine, PATIENCE};

#[test]
fn containers_run_on_and_are_found_again() {
    let mut engine = Engine::start();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            "i=0; while true; do i=$((i+1)); echo $i; sleep 0.01; done",
        ])
        .ok();
    let pid = engine.inspect("box", "{{.State.Pid}}");
    engine.crash();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    engine.launch();
    assert_eq!(
        engine.inspect("box", "{{.State.Status}} {{.State.Pid}} {{.RestartCount}}"),
        format!("running {pid} 0")
    );
    assert_eq!(engine.docker(["exec", "box", "echo", "here"]).ok(), "here");
    engine.docker(["stop", "-t", "0", "box"]).ok();
    // The log has no gap.
    let log = engine.docker(["logs", "box"]).ok();
    for (line, wanted) in log.lines().zip(1..) {
        assert_eq!(line, wanted.to_string());
    }
}

#[test]
fn an_exit_while_the_engine_was_away_is_known() {
    let mut engine = Engine::start();
    let flag = engine.path("go").display().to_string();
    std::fs::create_dir(&flag).unwrap();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "-v",
            &format!("{flag}:/go"),
            "busybox",
            "sh",
            "-c",
            "while [ ! -e /go/now ]; do sleep 0.01; done; echo last words; exit 9",
        ])
        .ok();
    let pid = engine.inspect("box", "{{.State.Pid}}");
    engine.crash();
    std::fs::write(format!("{flag}/now"), "").unwrap();
    let begun = std::time::Instant::now();
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    engine.launch();
    engine.until(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box"], "exited 9");
    assert_eq!(engine.docker(["logs", "box"]).ok(), "last words");
}

#[test]
fn policies_resume_and_nothing_is_left_behind() {
    let mut engine = Engine::start();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "always",
            "--network",
            "none",
            "--restart",
            "always",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    engine
        .docker(["run", "-d", "--rm", "--name", "gone", "--network", "none", "busybox", "sleep", "1000"])
        .ok();
    let pid = engine.inspect("always", "{{.State.Pid}}");
    let gone = engine.inspect("gone", "{{.State.Pid}}");
    engine.crash();
    for pid in [&pid, &gone] {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    engine.launch();
    engine.until(&["inspect", "-f", "{{.State.Status}}", "always"], "running");
    assert_ne!(engine.inspect("always", "{{.State.Pid}}"), pid);
    engine.until(&["ps", "-a", "--format", "{{.Names}}"], "always");
    engine.docker(["rm", "-f", "always"]).ok();
    let left: Vec<_> = std::fs::read_dir(engine.path("run"))
        .unwrap()
        .filter_map(|e| e.ok())
        .map(|e| e.file_name())
        .collect();
    let bundles: Vec<_> = left.iter().filter(|name| name.len() == 64).collect();
    assert!(bundles.is_empty(), "{left:?}");
}
