//! Files to sockets without passing through this program.
//!
//! hyper knows only bytes in memory. So a body that comes from a file hands hyper a *hole*: a slice of one
//! array, as long as the piece of the file that belongs there, and puts the piece into the connection's *lane*.
//! hyper keeps count of the hole like of any bytes and at last asks the socket to write it. The socket is ours: it
//! knows the array by its address, takes the piece from the lane, and calls `sendfile`.
//!
//! Holes and pieces stay in step because HTTP/1 answers one request after the other and hyper never copies a
//! buffer when the socket can write vectors. TLS has no lane: there the bytes must be read to be encrypted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Longest piece: what one `sendfile` may take of a worker's time, some milliseconds at most. The socket ends it sooner as a
/// rule; on one stream pieces of a mebibyte cost a tenth to a fifth of the throughput per processor second (docs/performance.md).
pub const PIECE_MAX: usize = 16 << 20;

/// Never written to a socket, nor read: only its address counts. Allocated, and so no page of it is ever there; a constant array
/// would lie in the program's file.
static HOLE: LazyLock<&'static [u8]> = LazyLock::new(|| Box::leak(vec![0; PIECE_MAX].into_boxed_slice()));

struct Piece {
    file: Arc<File>,
    offset: u64,
    left: usize,
}

/// The pieces of files that the holes in one connection's answers stand for, in order.
#[derive(Default)]
pub struct Lane {
    pieces: Mutex<VecDeque<Piece>>,
}

impl Lane {
    /// Queues a piece and returns its hole. `length` is at most [`PIECE_MAX`].
    pub fn push(&self, file: &Arc<File>, offset: u64, length: usize) -> Bytes {
        let piece = Piece { file: Arc::clone(file), offset, left: length };
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).push_back(piece);
        Bytes::from_static(&HOLE[..length])
    }
}

fn is_hole(slice: &[u8]) -> bool {
    !slice.is_empty() && HOLE.as_ptr_range().contains(&slice.as_ptr())
}

/// A socket that fills holes, and that gives up a peer who takes nothing for too long.
pub struct Socket {
    tcp: TcpStream,
    lane: Arc<Lane>,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Wraps a connection.
    pub fn new(tcp: TcpStream, lane: Arc<Lane>, patience: Duration) -> Self {
        Self { tcp, lane, patience, stalled: None }
    }

    fn poll_send_file(&self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        let mut pieces = self.lane.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let piece =
            pieces.front_mut().ok_or_else(|| io::Error::other("a hole without its piece of a file"))?;
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            let sent = self.tcp.try_io(Interest::WRITABLE, || {
                let mut offset = piece.offset;
                Ok(rustix::fs::sendfile(&self.tcp, &piece.file, Some(&mut offset), length.min(piece.left))?)
            });
            match sent {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => continue,
                Err(err) => return Poll::Ready(Err(err)),
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => {
                    piece.offset += sent as u64;
                    piece.left -= sent;
                    if piece.left == 0 {
                        pieces.pop_front();
                    }
                    return Poll::Ready(Ok(sent));
                }
            }
        }
    }

    fn poll_once(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Some(first) = slices.iter().position(|slice| !slice.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        let slices = &slices[first..];
        if is_hole(&slices[0]) {
            return self.poll_send_file(cx, slices[0].len());
        }
        let plain = slices.iter().position(|slice| is_hole(slice)).unwrap_or(slices.len());
        Pin::new(&mut self.tcp).poll_write_vectored(cx, &slices[..plain])
    }

    /// Pending for `patience` without a byte taken is an error.
    fn watched<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = self.poll_once(cx, &[IoSlice::new(bytes)]);
        self.watched(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = self.poll_once(cx, slices);
        self.watched(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_hole_among_bytes_arrives_as_the_files_piece() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        file.write_all(&content).unwrap();
        let file = Arc::new(file);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        let lane = Arc::new(Lane::default());
        let mut socket = Socket::new(tcp, Arc::clone(&lane), Duration::from_secs(60));
        let holes = [lane.push(&file, 10, 200_000), lane.push(&file, 0, 5)];
        let sender = async {
            let slices = [&b"head"[..], &holes[0], b"tail", &holes[1]];
            for slice in slices {
                socket.write_all(slice).await.unwrap();
            }
            socket.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(sender, client.read_to_end(&mut got));
        read.unwrap();
        let expected = [&b"head"[..], &content[10..200_010], b"tail", &content[..5]].concat();
        assert!(got == expected);
    }
}
