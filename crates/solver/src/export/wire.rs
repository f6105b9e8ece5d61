//! Bytes that a thread writes, to a file of the client.

use std::io::{self, Write};

use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::session;
use tokio::sync::mpsc;

use crate::Inner;
use crate::job::{Job, Work};

/// Bytes sent at once.
const PIECE: usize = 64 << 10;

/// Pieces that wait for a slow client.
const AHEAD: usize = 16;

struct Pipe {
    to: mpsc::Sender<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.to.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Sends what `write` writes to the client's file for an exporter.
pub(super) async fn stream(
    inner: &Inner,
    job: &Job,
    number: usize,
    work: &Work<'_>,
    part: &str,
    metadata: &[(String, String)],
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Result<(), Status> {
    let caller = inner.sessions.get(&job.session).await?;
    let (mut outbound, mut answer) = caller.file(number, metadata).await?;
    let (to, mut pieces) = mpsc::channel(AHEAD);
    let writing = tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { to, buffer: Vec::new() };
        write(&mut pipe).and_then(|()| pipe.flush())
    });
    let mut sent = 0;
    let mut refused = None;
    while let Some(piece) = pieces.recv().await {
        sent += piece.len() as u64;
        if let Err(status) = session::write(&mut outbound, piece).await {
            refused = Some(status);
            break;
        }
    }
    drop(pieces);
    let written = writing.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    if refused.is_none() {
        // A cut archive must not look whole: the stream is closed only when all was written.
        written.map_err(|error| Status::new(Code::Unknown, error.to_string()))?;
        outbound.close()?;
    }
    // What the client says of its file is the cause of a stream that it no longer takes.
    answer.end().await?;
    refused.map_or(Ok(()), Err)?;
    work.part(part, sent, 0, true);
    Ok(())
}
