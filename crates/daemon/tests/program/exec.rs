//! Exec under the original client.

use crate::harness::Engine;

#[test]
fn a_second_process_in_a_container() {
    let engine = Engine::start();
    engine
        .docker(["run", "-d", "--name", "box", "--network", "none", "-e", "A=b", "busybox", "sleep", "1000"])
        .ok();
    let exec = |args: &[&str]| engine.docker([&["exec"], args].concat());
    assert_eq!(exec(&["box", "sh", "-c", "echo $A"]).ok(), "b");
    assert_eq!(
        exec(&["-e", "A=c", "-w", "/tmp", "-u", "33", "box", "sh", "-c", "echo $A $PWD $(id -u)"]).ok(),
        "c /tmp 33"
    );
    assert_eq!(exec(&["box", "sh", "-c", "echo err >&2; exit 7"]).code, 7);
    assert_eq!(exec(&["box", "no-such-program"]).code, 127);
    assert_eq!(engine.docker_with(["exec", "-i", "box", "wc", "-c"], &[0; 100_000]).ok(), "100000");
    exec(&["-d", "box", "touch", "/tmp/there"]).ok();
    engine.until(&["exec", "box", "ls", "/tmp"], "there");
    engine.docker(["stop", "-t", "0", "box"]).ok();
    let err = exec(&["box", "true"]).failed();
    assert!(err.contains("is not running"), "{err}");
}

#[test]
fn sessions_can_be_looked_at() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).ok();
    let (status, made) = engine.http(
        "POST",
        "/v1.51/containers/box/exec",
        r#"{"Cmd": ["sh", "-c", "exit 5"], "AttachStdout": true}"#,
    );
    assert_eq!(status, 201);
    let id = made["Id"].as_str().unwrap();
    let (_, before) = engine.http("GET", &format!("/exec/{id}/json"), "");
    assert_eq!(before["Running"], false);
    assert!(before["ExitCode"].is_null());
    assert_eq!(before["ProcessConfig"]["entrypoint"], "sh");
    assert_eq!(engine.http("POST", &format!("/exec/{id}/start"), r#"{"Detach": true}"#).0, 200);
    let begun = std::time::Instant::now();
    let after = loop {
        let (_, now) = engine.http("GET", &format!("/exec/{id}/json"), "");
        if now["Running"] == false && !now["ExitCode"].is_null() {
            break now;
        }
        assert!(begun.elapsed() < crate::harness::PATIENCE, "{now}");
    };
    assert_eq!(after["ExitCode"], 5);
    let (status, err) = engine.http("POST", "/v1.51/containers/box/exec", "{}");
    assert_eq!((status, err["message"].as_str()), (400, Some("No exec command specified")));
    let (status, err) = engine.http("GET", "/exec/nonsense/json", "");
    assert_eq!((status, err["message"].as_str()), (404, Some("No such exec instance: nonsense")));
}

#[test]
fn what_a_session_left_behind_is_heard_for_a_moment() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "300"]).ok();
    let exec = |script: &str| engine.docker(["exec", "box", "sh", "-c", script]);
    assert_eq!(exec("(sleep 0.3; echo late) & echo now").ok(), "now\nlate");
    // Docker's patience ends after two seconds; whoever never ends does not hold the client.
    assert_eq!(exec("sleep 250 & echo now; exit 4").code, 4);
    // Nobody listens to a detached one: it is over at once.
    engine.docker(["exec", "-d", "box", "sh", "-c", "sleep 250 & touch /over"]).ok();
    engine.until(&["exec", "box", "ls", "/over"], "/over");
}
