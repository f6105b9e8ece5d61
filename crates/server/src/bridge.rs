//! Between streamed bodies and code that blocks: tar readers and writers run on threads of their own.

use crate::body::BodySender;
use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use std::io::{self, Read, Write};
use std::time::Duration;
use tokio::sync::mpsc;

/// Chunks of an upload waiting for the disk.
const UPLOAD_DEPTH: usize = 16;

/// What is left of an upload that nobody wants any more is taken for so long, and so many bytes of it.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 256 << 20;

/// A download is sent in pieces of this size.
const PIECE: usize = 64 << 10;

/// A request's body as a blocking reader. Reading past a client that has gone is an error, not an end.
pub(crate) struct BodyReader {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

/// Starts taking a body in. The reader is for a thread that may block.
pub(crate) fn reader<B>(mut body: B) -> BodyReader
where
    B: http_body::Body<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
{
    let (tx, rx) = mpsc::channel(UPLOAD_DEPTH);
    tokio::spawn(async move {
        while let Some(frame) = body.frame().await {
            let chunk = match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => Ok(data),
                    Err(_trailers) => continue,
                },
                Err(err) => Err(io::Error::other(err)),
            };
            if tx.send(chunk).await.is_err() {
                // The answer is there before the upload's end. A client that still writes would meet a closed door and tell
                // its user of a broken pipe instead.
                let _hung_up = tokio::time::timeout(LINGER, pour_away(body)).await;
                return;
            }
        }
    });
    BodyReader { chunks: rx, current: Bytes::new() }
}

async fn pour_away<B>(mut body: B)
where
    B: http_body::Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let mut left = LINGER_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.current = chunk?,
            }
        }
        let n = self.current.len().min(buf.len());
        self.current.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

/// A streamed response as a blocking writer. What is still buffered goes out with [`BodyWriter::finish`].
pub(crate) struct BodyWriter {
    sender: BodySender,
    buffer: Vec<u8>,
}

impl BodyWriter {
    /// Writes into a stream.
    pub(crate) fn new(sender: BodySender) -> BodyWriter {
        BodyWriter { sender, buffer: Vec::with_capacity(PIECE) }
    }

    /// Ends the stream: whole when the work went well, cut off when it did not.
    pub(crate) fn finish(mut self, outcome: io::Result<()>) {
        match outcome.and_then(|()| self.flush()) {
            Ok(()) => {}
            Err(err) => self.sender.blocking_abort(err),
        }
    }
}

impl Write for BodyWriter {
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
        self.sender.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
