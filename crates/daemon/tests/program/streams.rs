//! Attach, detach and logs: by the client, and by hand where a terminal would be needed.

use crate::harness::Engine;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// Takes a connection over; the answer's head is read, what follows is the stream.
fn hijack(engine: &Engine, path: &str, body: &str) -> (String, UnixStream) {
    let mut stream = engine.connect();
    let len = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    (String::from_utf8(head).unwrap(), stream)
}

/// Reads until these bytes have come.
fn read_until(stream: &mut UnixStream, wanted: &str) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 1024];
    while !String::from_utf8_lossy(&all).contains(wanted) {
        let n = stream.read(&mut piece).unwrap();
        assert_ne!(n, 0, "ended before {wanted:?}: {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// CVE-2022-23471, CVE-2025-64329, CVE-2026-53495: clients that have gone, of a process that says nothing.
#[test]
fn nothing_is_kept_for_clients_that_have_gone() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).ok();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", engine.pid().as_raw_nonzero())).unwrap().count();
    let (attach, session) =
        ("/containers/box/attach?stream=1&stdin=1&stdout=1&stderr=1", "/containers/box/exec");
    let asked = r#"{"Cmd":["sleep","1000"],"AttachStdin":true,"AttachStdout":true}"#;
    let begin = || {
        let id = engine.http("POST", session, asked).1["Id"].as_str().unwrap().to_owned();
        [hijack(&engine, attach, "").1, hijack(&engine, &format!("/exec/{id}/start"), "{}").1]
    };
    // What the first ones leave is the engine's own.
    drop(begin());
    let before = open();
    let clients: Vec<_> = (0..15).flat_map(|_| begin()).collect();
    assert!(open() >= before + clients.len(), "{} and {before}", open());
    // One that only sends no more is there: it hears what comes.
    let mut listener = hijack(&engine, attach, "").1;
    listener.shutdown(std::net::Shutdown::Write).unwrap();
    drop(clients);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while open() > before + 10 {
        assert!(std::time::Instant::now() < deadline, "{} are open, {before} were", open());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    listener.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    assert!(listener.read(&mut [0]).is_err(), "it was hung up on");
}

#[test]
fn attached_output_is_framed_and_said_so() {
    let engine = Engine::start();
    engine
        .docker([
            "create",
            "--name",
            "box",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            "echo out; echo err >&2",
        ])
        .ok();
    let (head, mut stream) = hijack(&engine, "/v1.51/containers/box/attach?stream=1&stdout=1&stderr=1", "");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.to_lowercase().contains("content-type: application/vnd.docker.multiplexed-stream"),
        "{head}"
    );
    engine.docker(["start", "box"]).ok();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let frame = |kind: u8, text: &[u8]| [&[kind, 0, 0, 0, 0, 0, 0, text.len() as u8], text].concat();
    assert!(
        all == [frame(1, b"out\n"), frame(2, b"err\n")].concat()
            || all == [frame(2, b"err\n"), frame(1, b"out\n")].concat(),
        "{all:?}"
    );
}

#[test]
fn a_terminal_is_left_by_its_keys_and_lives_on() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "-it", "--name", "box", "--network", "none", "busybox", "sh"]).ok();
    let (head, mut stream) =
        hijack(&engine, "/v1.51/containers/box/attach?stream=1&stdin=1&stdout=1&stderr=1", "");
    assert!(head.to_lowercase().contains("content-type: application/vnd.docker.raw-stream"), "{head}");
    stream.write_all(b"echo $((6*7))\n").unwrap();
    read_until(&mut stream, "42");
    assert_eq!(engine.http("POST", "/containers/box/resize?h=33&w=111", "").0, 200);
    stream.write_all(b"stty size\n").unwrap();
    read_until(&mut stream, "33 111");
    stream.write_all(b"\x10\x11").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(engine.inspect("box", "{{.State.Status}}"), "running");
    let events = engine
        .docker(["events", "--since", "1", "--until=-1s", "-f", "event=detach", "--format", "{{.Action}}"])
        .ok();
    assert_eq!(events, "detach");
}

#[test]
fn exec_with_a_terminal_by_hand() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).ok();
    let (_, made) = engine.http(
        "POST",
        "/containers/box/exec",
        r#"{"Cmd": ["sh"], "Tty": true, "AttachStdin": true, "AttachStdout": true, "AttachStderr": true}"#,
    );
    let id = made["Id"].as_str().unwrap();
    let (head, mut stream) =
        hijack(&engine, &format!("/v1.51/exec/{id}/start"), r#"{"Tty": true, "ConsoleSize": [20, 90]}"#);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream.write_all(b"stty size; exit 4\n").unwrap();
    read_until(&mut stream, "20 90");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    let (_, after) = engine.http("GET", &format!("/exec/{id}/json"), "");
    assert_eq!(after["ExitCode"], 4);
}

/// docker-py reads the head with a buffer and what follows without: output that came together with the head would be lost.
#[test]
fn output_waits_until_the_head_is_read() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "300"]).ok();
    let (_, made) = engine.http(
        "POST",
        "/v1.44/containers/box/exec",
        r#"{"Cmd": ["echo", "hello"], "AttachStdout": true}"#,
    );
    let mut stream = engine.connect();
    let body = r#"{"Detach": false, "Tty": false}"#;
    let head = format!(
        "POST /v1.44/exec/{}/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        made["Id"].as_str().unwrap(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A slow client: long enough for the output, had it not waited.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let mut bytes = [0; 4096];
    let count = stream.read(&mut bytes).unwrap();
    let first = String::from_utf8_lossy(&bytes[..count]).into_owned();
    assert!(first.starts_with("HTTP/1.1 101") && first.ends_with("\r\n\r\n"), "{first:?}");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"hello\n"), "{rest:?}");
}

#[test]
fn a_websocket_is_a_door_too() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "-i", "--name", "box", "--network", "none", "busybox", "cat"]).ok();
    let mut stream = engine.connect();
    stream
        .write_all(b"GET /v1.51/containers/box/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        .unwrap();
    let head = read_until(&mut stream, "\r\n\r\n");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    // A masked binary message with an empty mask.
    stream.write_all(&[0x82, 0x83, 0, 0, 0, 0, b'h', b'i', b'\n']).unwrap();
    let mut message = [0; 5];
    stream.read_exact(&mut message).unwrap();
    assert_eq!(message, [0x82, 3, b'h', b'i', b'\n']);
}

#[test]
fn logs_are_kept() {
    let engine = Engine::start();
    let script = "for i in 1 2 3; do echo line $i; done; echo after";
    engine.docker(["run", "--name", "box", "--network", "none", "busybox", "sh", "-c", script]).ok();
    assert_eq!(engine.docker(["logs", "box"]).ok(), "line 1\nline 2\nline 3\nafter");
    assert_eq!(engine.docker(["logs", "-n", "2", "box"]).ok(), "line 3\nafter");
    assert_eq!(engine.docker(["logs", "-n", "0", "box"]).ok(), "");
    let stamped = engine.docker(["logs", "-t", "--tail", "1", "box"]).ok();
    let (time, line) = stamped.split_once(' ').unwrap();
    assert_eq!((time.len(), line), ("2006-01-02T15:04:05.000000000Z".len(), "after"));
    // Lines that were read at once share a time, so the last one may bring others with it.
    assert!(engine.docker(["logs", "--since", time, "box"]).ok().ends_with("after"));
    assert_eq!(engine.docker(["logs", "--since", "2100-01-01T00:00:00Z", "box"]).ok(), "");
    assert_eq!(engine.docker(["logs", "--until", "2000-01-01T00:00:00Z", "box"]).ok(), "");
    engine.docker(["run", "--name", "err", "--network", "none", "busybox", "sh", "-c", "echo err >&2"]).ok();
    let said = engine.docker(["logs", "err"]);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", "err\n"));
    let err = engine.docker(["logs", "nonsense"]).failed();
    assert!(err.contains("No such container: nonsense"), "{err}");
}

#[test]
fn followed_logs_come_as_they_are_written() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "-i", "--name", "box", "--network", "none", "busybox", "cat"]).ok();
    let mut follow = engine.client().args(["logs", "-f", "box"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let (_, mut stream) = hijack(&engine, "/containers/box/attach?stream=1&stdin=1", "");
    for word in ["one", "two"] {
        stream.write_all(format!("{word}\n").as_bytes()).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), word);
    }
    engine.docker(["kill", "box"]).ok();
    assert!(lines.next().is_none());
    assert!(follow.wait().unwrap().success());
}
