//! `-H ssh://`, through a real SSH server: our client and the original, to our engine.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::{program, said};
use crate::harness::{Engine, gantry};
use crate::sshd::Door;

/// A far side with our program under this name, and nothing else of either.
fn far_side(engine: &Engine, name: &str) -> Door {
    let bin = engine.path("far");
    let text = format!("#!/bin/sh\nexec {} \"$@\"\n", gantry().display());
    program(&bin.join(name), &text);
    Door::open(&format!("{}:/usr/bin:/bin", bin.display()))
}

#[test]
fn commands_streams_and_errors_go_through_ssh() {
    let engine = Engine::start();
    let door = far_side(&engine, "gantry");
    let far = format!("ssh://root@127.0.0.1:{}{}", door.port(), engine.path("gantry.sock").display());
    let own = gantry();
    assert_eq!(door.client(&["-H", &far, "info", "-f", "{{.OSType}}"]), "linux");
    door.client(&["-H", &far, "run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]);
    assert_eq!(door.client(&["-H", &far, "ps", "--format", "{{.Names}}"]), "box");
    // Bytes go both ways, and the end of one does not end the other.
    let mut cat =
        door.command(&own, &["-H", &far, "exec", "-i", "box", "sh", "-c", "cat; echo over >&2; exit 7"]);
    let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&vec![b'x'; 300_000]).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), done.stdout.len()), (Some(7), 300_000));
    assert!(String::from_utf8_lossy(&done.stderr).contains("over"));
    let told = said(door.command(&own, &["-H", &far, "inspect", "nobody"])).failed();
    assert!(told.contains("No such object: nobody"), "{told}");
    // A context keeps the address.
    door.client(&["context", "create", "far", "--docker", &format!("host={far}")]);
    assert_eq!(door.client(&["-c", "far", "ps", "--format", "{{.Names}}"]), "box");
}

/// Docker's client asks for `docker system dial-stdio` over there: ours answers under that name.
#[test]
fn dockers_client_comes_through_ssh_to_our_program_there() {
    let engine = Engine::empty(&[]);
    let door = far_side(&engine, "docker");
    let far = format!("ssh://root@127.0.0.1:{}{}", door.port(), engine.path("gantry.sock").display());
    let docker = Path::new("docker");
    assert_eq!(said(door.command(docker, &["-H", &far, "version", "-f", "{{.Server.Os}}"])).ok(), "linux");
    // The client of ours finds it under either name.
    assert_eq!(door.client(&["-H", &far, "version", "-f", "{{.Server.Os}}"]), "linux");
}

#[test]
fn what_is_wrong_on_the_way_is_told() {
    let engine = Engine::shared(&[]);
    let own = gantry();
    let nothing_there = Door::open("/nowhere");
    let open = format!("ssh://root@127.0.0.1:{}", nothing_there.port());
    let told = said(nothing_there.command(&own, &["-H", &open, "ps"])).failed();
    assert!(told.contains("is docker (or gantry) installed and running there?"), "{told}");
    // Nobody listens; a user whom nobody knows; no socket at that path.
    let told = said(nothing_there.command(&own, &["-H", "ssh://root@127.0.0.1:1", "ps"])).failed();
    assert!(told.contains("Connection refused"), "{told}");
    let stranger = format!("ssh://who-is-it@127.0.0.1:{}", nothing_there.port());
    let told = said(nothing_there.command(&own, &["-H", &stranger, "ps"])).failed();
    assert!(told.contains("Permission denied"), "{told}");
    let door = far_side(&engine, "gantry");
    let absent = format!("ssh://root@127.0.0.1:{}/run/none.sock", door.port());
    let told = said(door.command(&own, &["-H", &absent, "ps"])).failed();
    assert!(told.contains("/run/none.sock"), "{told}");
    for wrong in ["ssh://root:secret@h", "ssh://h?x=1", "ssh://-oProxyCommand=x", "ssh://"] {
        said(door.command(&own, &["-H", wrong, "ps"])).failed();
    }
}
