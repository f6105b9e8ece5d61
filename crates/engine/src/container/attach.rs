//! `attach`: a client's streams joined to a process', before or after its start.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use gantry_shim_client::{AttachTo, Shim, Stream};
use tokio::io::{AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, watch};

use crate::admission::Verb;
use crate::engine::Engine;
use crate::error::Result;

/// Pieces of output between the shim and a client that does not read: beyond, the shim waits, and at last drops it.
const OUTPUT_PIECES: usize = 32;
/// How much later than its streams a session's exit may be known.
const EXIT_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of input on their way.
const INPUT_BYTES: usize = 64 << 10;

/// Which stream a piece of output is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Output {
    /// Standard output, and all output of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl From<Stream> for Output {
    fn from(stream: Stream) -> Output {
        match stream {
            Stream::Stdout => Output::Stdout,
            Stream::Stderr => Output::Stderr,
        }
    }
}

/// What to join.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttachRequest {
    /// Write standard input.
    pub stdin: bool,
    /// Read standard output.
    pub stdout: bool,
    /// Read standard error.
    pub stderr: bool,
    /// What was written so far, first.
    pub logs: bool,
    /// What will be written.
    pub stream: bool,
}

/// A joined process. Output ends with its exit; dropping it detaches.
pub struct Attachment {
    /// It has a terminal: output is raw.
    pub tty: bool,
    /// Its output.
    pub output: mpsc::Receiver<(Output, Bytes)>,
    /// Its input; shutting it down is its end.
    pub stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
}

/// A client that waits for the start.
pub(crate) struct Pending {
    to: AttachTo,
    output: mpsc::Sender<(Output, Bytes)>,
    input: Option<DuplexStream>,
    /// A session's exit code: its streams end only when that is known, for who reads to the end asks for it next.
    ended: Option<watch::Receiver<Option<i32>>>,
}

/// A client's ends, and ours.
fn pair(to: AttachTo, tty: bool) -> (Attachment, Pending) {
    let (sender, receiver) = mpsc::channel(OUTPUT_PIECES);
    let (theirs, ours) = if to.stdin {
        let (theirs, ours) = tokio::io::duplex(INPUT_BYTES);
        let theirs: Pin<Box<dyn AsyncWrite + Send>> = Box::pin(theirs);
        (Some(theirs), Some(ours))
    } else {
        (None, None)
    };
    (
        Attachment { tty, output: receiver, stdin: theirs },
        Pending { to, output: sender, input: ours, ended: None },
    )
}

impl Engine {
    /// Joins a container's streams; one that was never started is joined at its start.
    pub async fn container_attach(&self, name: &str, request: AttachRequest) -> Result<Attachment> {
        let container = self.find(name)?;
        let _gate = container.enter().await?;
        let record = container.admit(Verb::Attach)?;
        let AttachRequest { stdin, stdout, stderr, .. } = request;
        let stdin = stdin && record.spec.open_stdin && request.stream;
        let to = AttachTo { stdin, stdout, stderr, close_stdin: false };
        let (attachment, pending) = pair(to, record.spec.tty);
        if request.logs {
            self.replay_logs(&record, request, pending.output.clone()).await?;
        }
        if request.stream {
            match container.shim() {
                Some(shim) if record.state.is_alive() => join(&shim, None, pending).await?,
                _ => {
                    let mut live = container.live();
                    // Clients that left before the start are forgotten.
                    live.pending.retain(|waiting| !waiting.output.is_closed());
                    live.pending.push(pending);
                }
            }
        }
        self.container_event(&record, "attach", &[]);
        Ok(attachment)
    }

    /// A client has left by its detach keys.
    pub async fn container_detached(&self, name: &str) {
        if let Ok(container) = self.find(name) {
            self.container_event(&container.record(), "detach", &[]);
        }
    }
}

/// Joins all who waited for the start.
pub(super) async fn join_all(shim: &Shim, pending: Vec<Pending>, _tty: bool) -> Result<()> {
    for one in pending {
        join(shim, None, one).await?;
    }
    Ok(())
}

/// Joins one exec session, before it is started.
pub(super) async fn session(
    shim: &Shim,
    session: &gantry_names::ExecId,
    to: AttachTo,
    tty: bool,
    ended: watch::Receiver<Option<i32>>,
) -> Result<Attachment> {
    let (attachment, mut pending) = pair(to, tty);
    pending.ended = Some(ended);
    join(shim, Some(session), pending).await?;
    Ok(attachment)
}

/// Streams that say one thing and end.
pub(super) fn said(text: String, tty: bool) -> Attachment {
    let (sender, output) = mpsc::channel(1);
    sender.try_send((Output::Stdout, Bytes::from(text))).expect("there is room for one");
    Attachment { tty, output, stdin: None }
}

async fn join(shim: &Shim, session: Option<&gantry_names::ExecId>, pending: Pending) -> Result<()> {
    let Pending { to, output, input, ended } = pending;
    let joined = shim.attach(session, to).await?;
    let (mut from, mut into) = (joined.output, joined.input);
    // Ends with the process, the client or the shim, whichever is first.
    tokio::spawn(async move {
        loop {
            tokio::select! {
                piece = from.next() => match piece {
                    Ok(Some(piece)) => {
                        if output.send((piece.stream.into(), piece.bytes)).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) | Err(_) => break,
                },
                () = output.closed() => return,
            }
        }
        if let Some(mut ended) = ended {
            let known = ended.wait_for(Option::is_some);
            let _ = tokio::time::timeout(EXIT_PATIENCE, known).await;
        }
        drop(output);
    });
    if let Some(mut input) = input {
        tokio::spawn(async move {
            let copied: io::Result<u64> = tokio::io::copy(&mut input, &mut into).await;
            if copied.is_ok() {
                let _ = into.shutdown().await;
            }
        });
    } else {
        // The half is kept as long as the process: dropping it would be the end of somebody's input.
        drop(into);
    }
    Ok(())
}
