//! Words of strangers on a person's terminal: shown, not obeyed.

use super::client;
use super::seat::Seat;
use crate::harness::{Engine, gantry};

#[test]
fn what_a_container_or_an_engine_says_does_not_drive_the_terminal() {
    let engine = Engine::start();
    let name = "strange";
    let evil = "\x1b]0;owned\x07\x1b[2J";
    engine
        .docker([
            "run",
            "-d",
            "--name",
            name,
            "--network",
            "none",
            "--label",
            &format!("evil=a{evil}z"),
            "busybox",
            "sh",
            "-c",
            "sleep 1000; :",
            &format!("argument{evil}"),
        ])
        .ok();
    let table = "table {{.Labels}}\\t{{.Label \\\"evil\\\"}}";
    for (asked, shown) in [
        (format!("ps --no-trunc --filter name={name} --format \"{table}\""), "a^[]0;owned^G^[[2Jz"),
        // ps(1) on the host has a mark of its own.
        (format!("top {name}"), "argument?]0;owned??[2J"),
        // The engine's error repeats what it was asked for.
        ("inspect $(printf \"no\\033[2Jsuch\")".to_owned(), "no^[[2Jsuch"),
    ] {
        let mut seat = Seat::at(&engine, &asked);
        seat.sees(shown);
        seat.child.wait().unwrap();
    }
    // In a pipe every byte is what it was.
    let host = engine.host();
    let raw = client(
        &gantry(),
        &engine,
        &["-H", &host, "ps", "--filter", &format!("name={name}"), "--format", "{{.Labels}}"],
    );
    assert_eq!(raw.ok(), format!("evil=a{evil}z"));
    engine.docker(["rm", "-f", name]).ok();
}
