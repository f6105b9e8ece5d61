//! One container takes another's published ports: the label that `compose up` moves them with, on bad days.

use super::*;
use crate::full::Disk;

/// A web server whose answers are its name.
fn named(engine: &Engine, name: &str, flags: &[&str]) {
    let serve = format!("mkdir /w; echo {name} > /w/index.html; exec httpd -f -p 80 -h /w");
    run(engine, name, flags, &["sh", "-c", &serve]);
}

fn with_heir(engine: &Engine) {
    shell(&host(engine), "ip link set lo up").ok();
    named(engine, "old", &["-p", "8080:80"]);
    let label = format!("gantry.takes-ports-of={}", engine.inspect("old", "{{.Id}}"));
    named(engine, "new", &["-p", "8080:80", "--label", &label]);
}

/// Waits for who answers at the port.
#[track_caller]
fn answers(engine: &Engine, wanted: &str) {
    let begun = std::time::Instant::now();
    let mut seen = String::new();
    while seen != wanted {
        assert!(begun.elapsed() < PATIENCE, "{seen} answers, not {wanted}\n{}", engine.log());
        seen = get(&host(engine), "http://127.0.0.1:8080").trim().to_owned();
    }
}

#[test]
fn a_restart_of_who_holds_the_port_keeps_it_and_a_stop_gives_it_to_who_waits() {
    let engine = Engine::start();
    with_heir(&engine);
    answers(&engine, "old");
    engine.docker(["restart", "-t", "0", "old"]).ok();
    answers(&engine, "old");
    assert_eq!(engine.docker(["port", "new"]).ok(), "");
    engine.docker(["stop", "-t", "0", "old"]).ok();
    answers(&engine, "new");
    let told = engine.docker(["start", "old"]).failed();
    assert!(told.contains("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{told}");
    engine.docker(["restart", "-t", "0", "new"]).ok();
    answers(&engine, "new");
}

/// As any port in Docker: it is free with its holder's end, whatever restarts that one, and who asks first has it.
#[test]
fn who_holds_the_port_and_dies_finds_it_taken_when_its_policy_restarts_it() {
    let engine = Engine::start();
    shell(&host(&engine), "ip link set lo up").ok();
    named(&engine, "old", &["-p", "8080:80", "--restart", "always"]);
    let label = format!("gantry.takes-ports-of={}", engine.inspect("old", "{{.Id}}"));
    named(&engine, "new", &["-p", "8080:80", "--label", &label]);
    answers(&engine, "old");
    shell(&host(&engine), &format!("kill -9 {}", engine.inspect("old", "{{.State.Pid}}"))).ok();
    answers(&engine, "new");
    // Its policy tries again and again, and has the port once that is free.
    engine.until(&["inspect", "-f", "{{.State.Status}}", "old"], "restarting");
    assert_eq!(engine.docker(["port", "old"]).ok(), "");
    answers(&engine, "new");
    engine.docker(["rm", "-f", "new"]).ok();
    answers(&engine, "old");
}

#[test]
fn a_full_disk_at_a_hand_over_loses_no_port() {
    let mut engine = Engine::empty(&[]);
    engine.stop();
    let disk = Disk::mount(&engine.path("data"), "size=48m");
    engine.launch();
    engine.docker(["load", "-q", "-i", &crate::harness::busybox().display().to_string()]).ok();
    with_heir(&engine);
    answers(&engine, "old");
    let held = std::fs::File::open(host(&engine)).unwrap();
    let held = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    disk.fill();
    engine.docker(["stop", "-t", "0", "old"]);
    answers(&engine, "new");
    let twice = shell(&held, "nft list map inet gantry port4_any").ok();
    assert_eq!(twice.matches("tcp . 8080").count(), 1, "{twice}");
    // Room again, and a crash before anybody has written anything more.
    engine.crash();
    disk.free();
    engine.relaunch_in(&held, &[]);
    answers(&engine, "new");
    assert_eq!(engine.docker(["port", "new", "80"]).ok().lines().next(), Some("0.0.0.0:8080"));
    engine.docker(["rm", "-f", "old", "new"]).ok();
    named(&engine, "next", &["-p", "8080:80"]);
    answers(&engine, "next");
}
