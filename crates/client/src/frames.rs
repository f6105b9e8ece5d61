//! Docker's multiplexed stream: stdout and stderr of a container without a terminal on one connection.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::ClientError;

/// Bytes of one frame; an engine never sends more than its log line limit.
const MAX_FRAME: usize = 64 << 20;

/// Which stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Standard input (engines echo nothing on it; kept for completeness).
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// An error of the engine itself.
    System,
}

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which stream.
    pub kind: StreamKind,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Takes frames from a reader: 8 bytes of header (`[kind, 0, 0, 0, length as u32 big endian]`), then the bytes.
pub struct Frames<R> {
    reader: R,
    buffer: BytesMut,
    left: usize,
    kind: StreamKind,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// Frames of `reader`.
    pub fn new(reader: R) -> Frames<R> {
        Frames { reader, buffer: BytesMut::new(), left: 0, kind: StreamKind::Stdout }
    }

    /// The next piece, as soon as some of it is here; a long frame comes in pieces.
    pub async fn next(&mut self) -> Result<Option<Frame>, ClientError> {
        loop {
            if self.left > 0 && !self.buffer.is_empty() {
                let n = self.left.min(self.buffer.len());
                self.left -= n;
                return Ok(Some(Frame { kind: self.kind, bytes: self.buffer.split_to(n).freeze() }));
            }
            if self.left == 0 && self.buffer.len() >= 8 {
                self.kind = match self.buffer[0] {
                    0 => StreamKind::Stdin,
                    1 => StreamKind::Stdout,
                    2 => StreamKind::Stderr,
                    3 => StreamKind::System,
                    other => {
                        return Err(ClientError::Protocol(format!("Unrecognized input header: {other}")));
                    }
                };
                self.buffer.advance(4);
                self.left = self.buffer.get_u32() as usize;
                if self.left > MAX_FRAME {
                    return Err(ClientError::Protocol("a frame of the stream is too large".into()));
                }
                continue;
            }
            self.buffer.reserve(32 * 1024);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return if self.left > 0 || !self.buffer.is_empty() {
                    Err(ClientError::Protocol("unexpected EOF".into()))
                } else {
                    Ok(None)
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_told_apart_and_a_cut_one_is_an_error() {
        let wire: &[u8] = &[1, 0, 0, 0, 0, 0, 0, 2, b'h', b'i', 2, 0, 0, 0, 0, 0, 0, 1, b'!'];
        let mut frames = Frames::new(wire);
        let first = frames.next().await.unwrap().unwrap();
        assert_eq!((first.kind, &first.bytes[..]), (StreamKind::Stdout, &b"hi"[..]));
        assert_eq!(frames.next().await.unwrap().unwrap().kind, StreamKind::Stderr);
        assert_eq!(frames.next().await.unwrap(), None);
        let mut cut = Frames::new(&wire[..9]);
        cut.next().await.unwrap();
        assert!(cut.next().await.is_err());
    }
}
