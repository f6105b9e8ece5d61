//! The forms of a check, and the two that connect from outside the image.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The longest a connecting probe's thread lives, whatever the check's own timeout is.
const CONNECT_PATIENCE: Duration = Duration::from_secs(60);
/// Bytes read of an answer's first line.
const ANSWER_BYTES: usize = 256;

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Probe {
    /// A program in the container.
    Command(Vec<String>),
    /// A connection that is accepted.
    Tcp { address: String },
    /// An answer below 400.
    Http { address: String, host: String, path: String },
}

impl Probe {
    /// Reads a check's words; `None` for no check, or one that is switched off.
    pub(super) fn of(test: &[String], shell: Option<&[String]>) -> Option<Probe> {
        let (kind, rest) = test.split_first()?;
        match (kind.as_str(), rest) {
            ("CMD", [_, ..]) => Some(Probe::Command(rest.to_vec())),
            ("CMD-SHELL", [_, ..]) => {
                let plain = ["/bin/sh".to_owned(), "-c".to_owned()];
                let mut command = shell.filter(|shell| !shell.is_empty()).unwrap_or(&plain).to_vec();
                command.push(rest.join(" "));
                Some(Probe::Command(command))
            }
            ("CMD-TCP", [address]) => Some(Probe::Tcp { address: with_host(address, None) }),
            ("CMD-HTTP", [url]) => Some(http(url)),
            _ => None,
        }
    }
}

fn with_host(text: &str, default_port: Option<u16>) -> String {
    match (text.contains(':'), default_port) {
        (true, _) => text.to_owned(),
        (false, Some(port)) => format!("{text}:{port}"),
        (false, None) => format!("127.0.0.1:{text}"),
    }
}

/// `http://localhost:80/health`, `:8080/health`, `8080/health`.
fn http(url: &str) -> Probe {
    let rest = url.strip_prefix("http://");
    let (place, path) = rest.unwrap_or(url).split_once('/').unwrap_or((rest.unwrap_or(url), ""));
    let place = place.strip_prefix(':').unwrap_or(place);
    let only_port = !place.is_empty() && place.bytes().all(|b| b.is_ascii_digit());
    let address = match (place, only_port) {
        ("", _) => "127.0.0.1:80".to_owned(),
        (port, true) => format!("127.0.0.1:{port}"),
        (place, false) => with_host(place, Some(80)),
    };
    Probe::Http { host: address.clone(), address, path: format!("/{path}") }
}

/// Connects inside the network namespace of a process.
pub(super) async fn connect(pid: i32, probe: &Probe) -> (i32, String) {
    let probe = probe.clone();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // A thread of its own: it changes its namespace, and ends with it.
    let spawned = std::thread::Builder::new().name("health-probe".to_owned()).spawn(move || {
        let result = enter(pid).and_then(|()| attempt(&probe));
        let _ = sender.send(result);
    });
    match spawned {
        Ok(_) => match receiver.await {
            Ok(Ok(done)) => done,
            Ok(Err(err)) => (1, err.to_string()),
            Err(_) => (-1, "the probe ended without an answer".to_owned()),
        },
        Err(err) => (-1, err.to_string()),
    }
}

fn enter(pid: i32) -> io::Result<()> {
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net"))?;
    let kind = Some(rustix::thread::LinkNameSpaceType::Network);
    Ok(rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)?)
}

fn attempt(probe: &Probe) -> io::Result<(i32, String)> {
    match probe {
        Probe::Tcp { address } => open(address).map(|_| (0, String::new())),
        Probe::Http { address, host, path } => {
            let mut stream = open(address)?;
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: gantry-health\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes())?;
            let mut answer = Vec::new();
            // A server that hangs up right after its answer has answered all the same.
            match stream.take(ANSWER_BYTES as u64).read_to_end(&mut answer) {
                Err(err) if answer.is_empty() => return Err(err),
                _ => {}
            }
            let text = String::from_utf8_lossy(&answer);
            let line = text.lines().next().unwrap_or_default().to_owned();
            let status = line.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
            let good = line.starts_with("HTTP/") && status.is_some_and(|code| (100..400).contains(&code));
            Ok((i32::from(!good), line))
        }
        Probe::Command(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn open(address: &str) -> io::Result<TcpStream> {
    // Names are looked up by the host's files and servers: a probe is for the container's own ports.
    let all: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for one in all {
        match TcpStream::connect_timeout(&one, CONNECT_PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(CONNECT_PATIENCE))?;
                stream.set_write_timeout(Some(CONNECT_PATIENCE))?;
                return Ok(stream);
            }
            Err(err) => last = err,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Option<Probe> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Probe::of(&words, None)
    }

    #[test]
    fn forms_are_read() {
        assert_eq!(of(&["NONE"]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["CMD", "true"]), Some(Probe::Command(vec!["true".into()])));
        let shell = ["/bin/sh", "-c", "exit 1"].map(str::to_owned).to_vec();
        assert_eq!(of(&["CMD-SHELL", "exit 1"]), Some(Probe::Command(shell)));
        assert_eq!(of(&["CMD-TCP", "5432"]), Some(Probe::Tcp { address: "127.0.0.1:5432".into() }));
        let http = |address: &str, path: &str| Probe::Http {
            address: address.into(),
            host: address.into(),
            path: path.into(),
        };
        assert_eq!(of(&["CMD-HTTP", "http://localhost/up"]), Some(http("localhost:80", "/up")));
        assert_eq!(of(&["CMD-HTTP", ":8080/up"]), Some(http("127.0.0.1:8080", "/up")));
        assert_eq!(of(&["CMD-HTTP", "8080"]), Some(http("127.0.0.1:8080", "/")));
    }

    #[test]
    fn an_answer_below_400_is_good() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for line in ["HTTP/1.1 204 No Content", "HTTP/1.1 503 Busy"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).unwrap();
                write!(stream, "{line}\r\n\r\n").unwrap();
            }
        });
        let probe = of(&["CMD-HTTP", &format!("{port}/x")]).unwrap();
        assert_eq!(attempt(&probe).unwrap(), (0, "HTTP/1.1 204 No Content".to_owned()));
        assert_eq!(attempt(&probe).unwrap().0, 1);
    }
}
