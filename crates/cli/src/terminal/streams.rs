//! Between a person's streams and a container's: attach and exec.

use std::io::{Read, Write};

use gantry_client::{ClientError, Frames, Hijacked, StreamKind};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::{DetachKeys, RawMode};
use crate::failure::{Failure, Outcome};
use crate::print;

/// What of a container's streams is connected to ours.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attached {
    /// Ours goes to it.
    pub stdin: bool,
    /// Its output comes to us.
    pub stdout: bool,
    /// Its errors come to us.
    pub stderr: bool,
    /// It has a terminal: one stream, raw keys.
    pub tty: bool,
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The container's side closed.
    Output,
    /// The person typed the detach keys.
    Detached,
}

/// Chunks of standard input that may wait for the engine; more than that and the reading thread waits.
const INPUT_CHUNKS: usize = 16;

/// Copies both ways until the container's side ends or the person detaches.
pub async fn stream(hijacked: Hijacked, attached: Attached, keys: DetachKeys) -> Result<Ended, Failure> {
    let raw = (attached.tty && attached.stdin).then(RawMode::enter).flatten();
    let Hijacked { reader, mut writer, .. } = hijacked;
    let output = async move {
        match attached.tty {
            true => plain(reader).await,
            false => framed(reader, attached).await,
        }
    };
    let ended = if attached.stdin {
        let mut chunks = read_stdin();
        let mut keys = (attached.tty && super::stdin_is()).then_some(keys);
        let input = async move {
            while let Some(chunk) = chunks.recv().await {
                let (bytes, detached) = match &mut keys {
                    Some(keys) => keys.feed(&chunk),
                    None => (chunk, false),
                };
                // The container may have ended; its output tells why.
                if !bytes.is_empty() && writer.write(&bytes).await.is_err() {
                    break;
                }
                if detached {
                    return Ended::Detached;
                }
            }
            // The far side may be gone already; the output decides when this ends.
            let _ = writer.close().await;
            std::future::pending().await
        };
        tokio::select! {
            done = output => done.map(|()| Ended::Output),
            ended = input => Ok(ended),
        }
    } else {
        output.await.map(|()| Ended::Output)
    };
    drop(raw);
    ended
}

/// Standard input is read by a thread of its own: a blocking read of a terminal cannot be cancelled, and the
/// program ends without waiting for it.
fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(INPUT_CHUNKS);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 32 * 1024];
        let mut stdin = std::io::stdin();
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    if sender.blocking_send(buffer[..n].to_vec()).is_err() {
                        break;
                    }
                }
            }
        }
    });
    receiver
}

async fn plain(mut reader: gantry_client::HijackedReader) -> Outcome {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(n) => print::written(&buffer[..n])?,
            // A terminal's far side hangs up when its last process ends.
            Err(err) if err.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
            Err(err) => return Err(err.into()),
        }
    }
}

async fn framed(reader: gantry_client::HijackedReader, attached: Attached) -> Outcome {
    let mut frames = Frames::new(reader);
    while let Some(frame) = frames.next().await? {
        match frame.kind {
            StreamKind::Stdin | StreamKind::Stdout if attached.stdout => print::written(&frame.bytes)?,
            StreamKind::Stderr if attached.stderr => write_err(&frame.bytes)?,
            StreamKind::System => {
                let text = String::from_utf8_lossy(&frame.bytes).into_owned();
                return Err(format!("error from daemon in stream: {text}").into());
            }
            _ => {}
        }
    }
    Ok(())
}

fn write_err(bytes: &[u8]) -> std::io::Result<()> {
    std::io::stderr().lock().write_all(bytes)
}

/// Tells the engine the terminal's size now and whenever it changes, until dropped.
pub struct Resizer(tokio::task::JoinHandle<()>);

impl Resizer {
    /// `resize` is called with rows and columns.
    pub fn start<F, R>(resize: F) -> Resizer
    where
        F: Fn(u16, u16) -> R + Send + 'static,
        R: Future<Output = Result<(), ClientError>> + Send,
    {
        Resizer(tokio::spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
            // A session that is just starting may refuse the first ones.
            for pause_ms in [0u64, 10, 50, 100, 300] {
                tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
                let Some((rows, columns)) = super::size() else { return };
                if resize(rows, columns).await.is_ok() {
                    break;
                }
            }
            while changes.recv().await.is_some() {
                if let Some((rows, columns)) = super::size() {
                    // A size that was not taken is made good by the next one.
                    let _ = resize(rows, columns).await;
                }
            }
        }))
    }
}

impl Drop for Resizer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
