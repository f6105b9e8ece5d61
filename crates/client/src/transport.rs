//! From an address to a byte stream.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::error::ClientError;
use crate::tls;

/// Any byte stream to an engine.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Opens a byte stream to the engine at `endpoint`.
pub async fn connect(endpoint: &Endpoint) -> Result<Box<dyn Wire>, ClientError> {
    let told = |err: io::Error| match err.kind() {
        io::ErrorKind::PermissionDenied => ClientError::Denied { host: endpoint.host(), cause: err },
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => ClientError::Unreachable { host: endpoint.host() },
        _ => ClientError::Connect { cause: format!("{endpoint}: {err}") },
    };
    match endpoint {
        Endpoint::Unix(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(told)?)),
        Endpoint::Tcp { host, port, tls } => {
            // Files that are wrong are told whether or not anybody listens.
            let certificates = tls.as_ref().map(tls::config).transpose()?;
            let place = tokio::net::lookup_host((host.as_str(), *port)).await;
            // The resolver's own words tell neither the name nor what is wrong with it.
            let places: Vec<_> = place
                .map_err(|_| ClientError::Connect {
                    cause: format!("dial tcp: lookup {host}: no such host"),
                })?
                .collect();
            let stream = TcpStream::connect(places.as_slice()).await.map_err(told)?;
            // Interactive bytes should not wait for company.
            stream.set_nodelay(true)?;
            let Some(certificates) = certificates else { return Ok(Box::new(stream)) };
            let name = ServerName::try_from(host.clone())
                .map_err(|_| ClientError::Connect { cause: format!("{host} is no server name for TLS") })?;
            let stream = TlsConnector::from(certificates).connect(name, stream).await.map_err(|e| {
                ClientError::Connect {
                    cause: format!(
                        "{endpoint}: {}",
                        tls::advice(&e).map_or_else(|| format!("tls: {e}"), str::to_owned)
                    ),
                }
            })?;
            Ok(Box::new(stream))
        }
        Endpoint::Ssh { user, host, port, path } => {
            let mut ssh = Command::new("ssh");
            ssh.args(["-o", "ConnectTimeout=30", "-T"]);
            if let Some(user) = user {
                ssh.args(["-l", user]);
            }
            if let Some(port) = port {
                ssh.args(["-p", &port.to_string()]);
            }
            ssh.args(["--", host, &far_command(path.as_deref())]);
            ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = ssh
                .spawn()
                .map_err(|e| ClientError::Connect { cause: format!("could not start ssh: {e}") })?;
            match (child.stdin.take(), child.stdout.take()) {
                (Some(stdin), Some(stdout)) => {
                    Ok(Box::new(Piped { stdin: Some(stdin), stdout, _child: child }))
                }
                _ => Err(ClientError::Connect { cause: "ssh came without pipes".into() }),
            }
        }
    }
}

/// What the far side's shell runs: our program where it is, else Docker's client.
fn far_command(path: Option<&str>) -> String {
    let host = path.map(|path| format!(" --host {}", quoted(&format!("unix://{path}")))).unwrap_or_default();
    format!("\"$(command -v gantry || echo docker)\"{host} system dial-stdio")
}

/// One word of a shell, whatever is in it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-+@".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// A child's stdin and stdout as one stream; the child ends with it.
struct Piped {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    _child: Child,
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(stdin) = &mut self.stdin {
            match Pin::new(stdin).poll_shutdown(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(done) => done?,
            }
        }
        // Dropping the pipe is what the far side reads as the end.
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_on_the_far_side() {
        assert_eq!(quoted("unix:///run/gantry.sock"), "unix:///run/gantry.sock");
        assert_eq!(quoted("unix:///a b'c"), "'unix:///a b'\\''c'");
        let command = far_command(Some("/x"));
        assert!(command.ends_with("\" --host unix:///x system dial-stdio"), "{command}");
    }
}
