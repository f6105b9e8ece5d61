//! A server over an engine of its own, and a client that speaks HTTP by hand.

mod certificates;
mod engine;

pub use certificates::Certificates;

use gantry_server::{Address, App, Limits, ListenOptions, Listener, serve};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that hangs must end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, stopped when dropped.
pub struct Served {
    pub socket: PathBuf,
    drain: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.drain.cancel();
    }
}

impl Served {
    pub async fn start() -> Served {
        Served::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Served {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("gantry.sock");
        let address = Address::Unix(socket.clone());
        let options = ListenOptions { group: Some("0".into()), tls: None };
        let listener = Listener::open(&address, &options).await.unwrap().remove(0);
        Served::serve(listener, limits, dir, socket)
    }

    /// On a listener of the test's own.
    pub async fn on(listener: Listener, limits: Limits) -> Served {
        Served::serve(listener, limits, tempfile::tempdir().unwrap(), PathBuf::new())
    }

    fn serve(listener: Listener, limits: Limits, dir: tempfile::TempDir, socket: PathBuf) -> Served {
        let (engine, builder) = engine::open(dir.path());
        let app = App::new(engine, builder).with_limits(limits);
        let drain = CancellationToken::new();
        tokio::spawn(serve(Arc::new(app), vec![listener], drain.clone()));
        Served { socket, drain, _dir: dir }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }

    pub async fn post(&self, path: &str, content_type: &str, body: &str) -> Answer {
        let content_type = match content_type {
            "" => String::new(),
            text => format!("Content-Type: {text}\r\n"),
        };
        let len = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{content_type}Content-Length: {len}\r\n\r\n{body}"
        ))
        .await
    }

    pub async fn send(&self, request: &str) -> Answer {
        Answer::parse(&self.raw(request).await)
    }

    /// Everything the server says to these bytes.
    pub async fn raw(&self, request: &str) -> String {
        let (socket, request) = (self.socket.clone(), request.to_owned());
        tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(socket).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            // A server that refuses early closes early: what it said is what counts.
            if let Err(err) = stream.write_all(request.as_bytes()) {
                assert_eq!(err.kind(), std::io::ErrorKind::BrokenPipe);
            }
            let mut answer = Vec::new();
            if let Err(err) = stream.read_to_end(&mut answer) {
                assert_eq!(err.kind(), std::io::ErrorKind::ConnectionReset, "{err}");
            }
            String::from_utf8_lossy(&answer).into_owned()
        })
        .await
        .unwrap()
    }
}

/// An answer taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn parse(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if chunked { dechunk(body) } else { body.to_owned() };
        Answer { status, headers, body }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The text of an error.
    pub fn message(&self) -> String {
        let value: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        value["message"].as_str().unwrap_or_default().to_owned()
    }
}

fn dechunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        out.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    out
}
