//! A terminal through `--console-socket`.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use gantry_runtime_lib::spec::ConsoleSize;

use crate::bundle::{Bundle, Expect};
use crate::excuse;

fn receive(listener: &UnixListener) -> std::fs::File {
    let (stream, _) = listener.accept().unwrap();
    let mut name = [0u8; 4096];
    let (_, mut fds) = gantry_sys::fds::recv(&stream, &mut name).unwrap();
    fds.pop().expect("the master").into()
}

/// Everything until the terminal has no other side.
fn read_all(mut master: std::fs::File) -> String {
    let mut text = Vec::new();
    let mut buffer = [0u8; 1024];
    while let Ok(n @ 1..) = master.read(&mut buffer) {
        text.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn the_terminal_is_the_containers_own_and_controls_it() {
    let mut bundle = Bundle::script("tty; stat -c '%F' /dev/console; stty size; read line; echo got $line");
    bundle.process().terminal = true;
    bundle.write();
    let socket = bundle.dir.path().join("console.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (folder, path) = (bundle.dir.path().to_str().unwrap(), socket.to_str().unwrap());
    let args = ["create", "--bundle", folder, "--console-socket", path, &bundle.id];
    bundle.cmd(&args).expect_success("create");
    let mut master = receive(&listener);
    bundle.cmd(&["start", &bundle.id]).expect_success("start");
    master.write_all(b"hello\n").unwrap();
    let told = read_all(master);
    for words in ["/dev/pts/0", "character special file", "got hello"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn the_terminal_has_the_size_asked_for() {
    excuse!("the_terminal_has_the_size_asked_for");
    let mut bundle = Bundle::script("stty size");
    bundle.process().terminal = true;
    bundle.process().console_size = Some(ConsoleSize { height: 33, width: 77 });
    bundle.write();
    let socket = bundle.dir.path().join("console.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (folder, path) = (bundle.dir.path().to_str().unwrap(), socket.to_str().unwrap());
    let args = ["create", "--bundle", folder, "--console-socket", path, &bundle.id];
    bundle.cmd(&args).expect_success("create");
    let master = receive(&listener);
    bundle.cmd(&["start", &bundle.id]).expect_success("start");
    let told = read_all(master);
    assert!(told.contains("33 77"), "{told}");
}

#[test]
fn an_exec_has_a_terminal_too() {
    let bundle = Bundle::running(|_| {});
    let socket = bundle.dir.path().join("console.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let path = socket.to_str().unwrap();
    let args =
        ["exec", "--detach", "--tty", "--console-socket", path, &bundle.id, "sh", "-c", "tty; echo done"];
    bundle.cmd(&args).expect_success("exec");
    let told = read_all(receive(&listener));
    assert!(told.contains("/dev/pts/") && told.contains("done"), "{told}");
}

#[test]
fn a_terminal_without_a_socket_is_refused_when_nobody_stays() {
    let mut bundle = Bundle::script("true");
    bundle.process().terminal = true;
    assert!(!bundle.create().status.success());
}
