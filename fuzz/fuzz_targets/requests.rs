#![no_main]
//! No request makes the registry panic or keep a caller waiting: after each it still answers. An input is either the bytes of a
//! connection as they are, or a request line, headers and a body that are put together well, so that what is found lies behind HTTP.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use gantry_registry::config::Config;
use libfuzzer_sys::fuzz_target;

static REGISTRY: LazyLock<(tokio::runtime::Runtime, gantry_registry::Running, tempfile::TempDir)> =
    LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "version: 0.1\nhttp: {{addr: '127.0.0.1:0'}}\nlog: {{level: error}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n",
            folder.path().display()
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let config = Config::from_text(&text, Vec::new()).expect("a configuration");
        let running = runtime.block_on(gantry_registry::start(config)).expect("a registry");
        (runtime, running, folder)
    });

/// What it answers to the bytes, until it ends the connection.
fn ask(address: SocketAddr, bytes: &[u8], more: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the registry listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a patience");
    let mut answer = Vec::new();
    // It may be refused before all of it is written.
    if stream.write_all(bytes).is_ok() && !more {
        let _ = stream.shutdown(Shutdown::Write);
    }
    match stream.read_to_end(&mut answer) {
        Err(err) if err.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("no end of the answer: {answer:?}")
        }
        _ => answer,
    }
}

fuzz_target!(|data: &[u8]| {
    let address = REGISTRY.1.address();
    let Some((which, rest)) = data.split_first() else { return };
    if which % 8 == 0 {
        ask(address, rest, false);
    } else {
        let mut parts = rest.splitn(3, |byte| *byte == b'\n');
        let (line, headers, body) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let method =
            ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "GET"][usize::from(which / 8 % 8)];
        let mut request = format!("{method} /").into_bytes();
        request.extend(line);
        request.extend(b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for header in headers.split(|byte| *byte == b'\r') {
            request.extend(header);
            request.extend(b"\r\n");
        }
        request.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
        request.extend(body);
        ask(address, &request, true);
    }
    let alive = ask(address, b"GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", true);
    assert!(alive.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&alive));
});
