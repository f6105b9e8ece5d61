//! `gantry top` on a terminal of its own: the table lives, and its keys do what they say.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::seat::Seat;
use crate::harness::{Engine, PATIENCE};

/// The last whole picture that was drawn: each begins at the upper left.
fn last_picture(shown: &str) -> &str {
    let mut pictures = shown.rsplit("\x1b[H");
    let (under_way, whole) = (pictures.next().unwrap_or_default(), pictures.next().unwrap_or_default());
    if under_way.ends_with("\x1b[J") { under_way } else { whole }
}

#[test]
fn the_live_table_and_its_keys() {
    let engine = Engine::start();
    let run = |name: &str, script: &str| {
        engine
            .docker([
                "run",
                "-d",
                "--name",
                name,
                "--network",
                "none",
                "--stop-timeout",
                "1",
                "busybox",
                "sh",
                "-c",
                script,
            ])
            .ok()
    };
    run("talker", "while :; do echo i am talking; sleep 1; done");
    run("silent", "sleep 1000");
    run("doomed", "sleep 1000");
    let mut seat = Seat::at(&engine, "top");
    // Readings come by themselves.
    seat.until("three rows with numbers", |shown| {
        let picture = last_picture(shown);
        ["talker", "silent", "doomed"].iter().all(|name| picture.contains(name))
            && picture.matches("MiB").count() + picture.matches("KiB").count() >= 3
    });
    seat.types("/talk\r");
    seat.until("one row", |shown| {
        last_picture(shown).contains("talker") && !last_picture(shown).contains("silent")
    });
    // The logs, until Ctrl-C; the table is there again.
    seat.types("l");
    seat.sees("i am talking");
    seat.types("\x03");
    seat.until("the table", |shown| last_picture(shown).contains("talker"));
    // A shell inside.
    seat.types("e");
    seat.sees("# ");
    seat.types("echo in-$((20+3))\r");
    seat.sees("in-23");
    seat.types("exit\r");
    seat.until("the table", |shown| last_picture(shown).contains("talker"));
    // Stop, after a question; no is no.
    seat.types("s");
    seat.sees("Stop talker? [y/N]");
    seat.types("n");
    seat.until("the table", |shown| last_picture(shown).contains("q quit"));
    assert_eq!(engine.inspect("talker", "{{.State.Running}}"), "true");
    seat.types("s");
    seat.sees("[y/N]");
    seat.types("y");
    seat.sees("talker stopped");
    assert_eq!(engine.inspect("talker", "{{.State.Running}}"), "false");
    // Stopped ones on demand, and started from here.
    seat.types("a");
    seat.until("it stands among the stopped", |shown| last_picture(shown).contains("Exited"));
    seat.types("r");
    seat.sees("Restart talker? [y/N]");
    seat.types("y");
    seat.sees("talker restarted");
    assert_eq!(engine.inspect("talker", "{{.State.Running}}"), "true");
    seat.types("\x1b");
    seat.until("all", |shown| last_picture(shown).contains("silent"));
    seat.types("/doom\r");
    seat.until("one row", |shown| {
        !last_picture(shown).contains("silent") && last_picture(shown).contains("doomed")
    });
    seat.types("k");
    seat.sees("Kill doomed? [y/N]");
    seat.types("y");
    seat.sees("doomed killed");
    engine.until(&["inspect", "-f", "{{.State.ExitCode}}", "doomed"], "137");
    seat.types("q");
    let begun = Instant::now();
    let ended = loop {
        if let Some(status) = seat.child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(ended.success());
    // The screen is given back as it was.
    seat.sees("\x1b[?1049l");
}

/// The engine goes away under it: that is told, not a panic, and a newer engine is shown again.
#[test]
fn a_table_without_an_engine_says_so() {
    let mut engine = Engine::start();
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).ok();
    let mut seat = Seat::at(&engine, "top");
    seat.until("a row", |shown| last_picture(shown).contains("box"));
    engine.crash();
    seat.sees("Cannot connect to the Docker daemon");
    engine.launch();
    seat.types("a");
    seat.until("a row with numbers", |shown| {
        last_picture(shown).contains("box") && last_picture(shown).contains("iB /")
    });
    seat.types("\x03");
    assert!(seat.child.wait().unwrap().success());
}

/// Told to end by another program, it gives the screen back as a person would have it.
#[test]
fn a_table_that_is_told_to_end_leaves_the_screen_as_it_was() {
    let engine = Engine::empty(&[]);
    let mut seat = Seat::at(&engine, "top");
    seat.sees("q quit");
    seat.is_told(Signal::TERM);
    seat.sees("\x1b[?1049l");
    assert_eq!(seat.child.wait().unwrap().code(), Some(143));
}

/// A shell inside, or a password half typed: the terminal is as before when the client is told to end.
#[test]
fn a_terminal_in_another_state_is_put_back_when_the_client_is_told_to_end() {
    let engine = Engine::start();
    engine.docker(["run", "-dit", "--name", "box", "--network", "none", "busybox", "sh"]).ok();
    for (words, seen, signal, code) in [
        ("exec -it box sh", "# ", Signal::TERM, 143),
        ("exec -it box sh", "# ", Signal::HUP, 129),
        ("attach box", "# ", Signal::INT, 130),
        ("login -u me localhost:1", "Password: ", Signal::INT, 130),
    ] {
        let mut seat = Seat::at(&engine, words);
        if words == "attach box" {
            seat.until_typed("\r", seen);
        }
        seat.sees(seen);
        seat.is_told(signal);
        seat.sees("speed ");
        seat.until("its settings", |shown| shown.contains(" icanon") && shown.contains(" echo "));
        assert_eq!(seat.child.wait().unwrap().code(), Some(code), "{words}");
    }
}
