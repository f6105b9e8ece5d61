//! What the engine is told at its start reaches the containers.

use std::process::{Command, Stdio};

use crate::harness::Engine;

#[test]
fn labels_log_driver_and_limits() {
    let engine = Engine::with(&[
        "--label",
        "rack=7",
        "--log-opt",
        "max-size=5m",
        "--default-ulimit",
        "nofile=100:200",
        "--default-shm-size",
        "1m",
        "--init",
    ]);
    assert_eq!(engine.docker(["info", "-f", "{{json .Labels}}"]).ok(), r#"["rack=7"]"#);
    let said = engine.docker([
        "run",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "ulimit -n; df -k /dev/shm | tail -1; cat /proc/1/comm",
    ]);
    let said = said.ok();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "100");
    assert!(lines[1].contains(" 1024 "), "{said}");
    assert_ne!(lines[2], "sh", "an init is the first process: {said}");
    assert_eq!(
        engine.inspect("box", "{{json .HostConfig.LogConfig}}"),
        r#"{"Type":"json-file","Config":{"max-size":"5m"}}"#
    );
}

#[test]
fn json_logs_are_json() {
    let engine = Engine::empty(&["--log-format", "json", "--log-level", "debug"]);
    engine.docker(["ps"]).ok();
    let log = engine.log();
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    assert!(
        log.lines().any(|line| line.contains("\"status\":200") && line.contains("/containers/json")),
        "{log}"
    );
}

/// An engine that was started behind a line of shell.
fn behind(line: &str) -> Engine {
    let mut engine = Engine::empty(&[]);
    engine.stop();
    let plain = engine.command();
    let mut behind = Command::new("sh");
    behind
        .args(["-c", &format!("{line}; exec \"$0\" \"$@\"")])
        .arg(plain.get_program())
        .args(plain.get_args());
    behind.stdin(Stdio::null()).stderr(Stdio::null());
    engine.adopt(behind.spawn().unwrap());
    engine.until(&["version", "-f", "{{.Server.Os}}"], "linux");
    engine.with_busybox()
}

#[test]
fn a_hardened_hosts_umask_is_not_shown_to_containers() {
    let engine = behind("umask 077");
    let look = "cat /etc/resolv.conf /etc/hosts /etc/hostname >/dev/null && ls -d /volume/. /made/. && pwd";
    let said = engine.docker([
        "run",
        "--rm",
        "-u",
        "1000",
        "-w",
        "/work/deep",
        "-v",
        "data:/volume",
        "-v",
        "/made",
        "busybox",
        "sh",
        "-c",
        look,
    ]);
    assert_eq!(said.ok(), "/made/.\n/volume/.\n/work/deep");
}

/// As Go's programs do: the engine takes what it may have, and hands on what it was given.
#[test]
fn the_engine_takes_more_descriptors_and_containers_do_not() {
    let engine = behind("ulimit -Sn 300; ulimit -Hn 3000");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", engine.pid().as_raw_nonzero())).unwrap();
    let own = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(own.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["3000", "3000"]);
    let look = "ulimit -Sn; ulimit -Hn";
    engine.docker(["run", "-d", "--name", "box", "busybox", "sh", "-c", "sleep 1000"]).ok();
    assert_eq!(engine.docker(["exec", "box", "sh", "-c", look]).ok(), "300\n3000");
    assert_eq!(engine.docker(["run", "--rm", "busybox", "sh", "-c", look]).ok(), "300\n3000");
    let asked = engine.docker(["run", "--rm", "--ulimit", "nofile=500:600", "busybox", "sh", "-c", look]);
    assert_eq!(asked.ok(), "500\n600");
}
