//! Tar on one side, a connection on the other: the tar codec is synchronous, so it runs on a thread of its own and
//! bounded channels join the two.

use std::io::{self, Read, Write};
use std::sync::mpsc as sync;

use bytes::Bytes;
use gantry_client::{Body, ByteStream, ClientError};
use tokio::sync::mpsc;

/// Chunks that may wait between the two sides.
const WAITING: usize = 16;

/// Bytes gathered before they travel.
const CHUNK: usize = 128 * 1024;

/// A request's body that `pack` writes while it is sent. A failure of `pack` breaks the request and is told by it.
pub fn body(pack: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> Body {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(WAITING);
    std::thread::spawn(move || {
        let mut out = ChannelWriter { sender: sender.clone(), buffer: Vec::with_capacity(CHUNK) };
        if let Err(err) = pack(&mut out).and_then(|()| out.flush()) {
            // Nobody waits any more when the request is gone.
            let _ = sender.blocking_send(Err(err));
        }
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    Body::stream(stream)
}

struct ChannelWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Hands an answer's bytes to `unpack`, which reads them on a thread of its own.
pub async fn read<T: Send + 'static>(
    mut stream: ByteStream,
    unpack: impl FnOnce(&mut dyn Read) -> io::Result<T> + Send + 'static,
) -> Result<T, ClientError> {
    let (sender, receiver) = sync::sync_channel::<Bytes>(WAITING);
    let work =
        tokio::task::spawn_blocking(move || unpack(&mut ChannelReader { receiver, rest: Bytes::new() }));
    let mut broken = None;
    loop {
        match stream.next().await {
            Ok(Some(bytes)) => {
                let sender = sender.clone();
                // The unpacker may be slower than the network, and this thread serves the connection.
                let sent = tokio::task::spawn_blocking(move || sender.send(bytes)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    break;
                }
            }
            Ok(None) => break,
            Err(err) => {
                broken = Some(err);
                break;
            }
        }
    }
    drop(sender);
    let done = work.await.map_err(|e| ClientError::Protocol(e.to_string()))?;
    match broken {
        Some(err) => Err(err),
        None => Ok(done?),
    }
}

struct ChannelReader {
    receiver: sync::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.receiver.recv() {
                Ok(bytes) => self.rest = bytes,
                Err(_) => return Ok(0),
            }
        }
        let n = buffer.len().min(self.rest.len());
        buffer[..n].copy_from_slice(&self.rest.split_to(n));
        Ok(n)
    }
}
