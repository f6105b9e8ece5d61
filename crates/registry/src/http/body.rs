//! What an answer carries: nothing, bytes, a piece of a file, or a stream from elsewhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::lane::{Lane, PIECE_MAX};

/// What is read at once of a file that must be encrypted.
const READ_SIZE: usize = 256 << 10;

/// The body of an answer; its length is always known.
pub enum Body {
    /// Bytes at hand.
    Bytes(Bytes),
    /// The length of what a GET would bring.
    Head(u64),
    /// A piece of a local file.
    File {
        /// The file.
        file: Arc<File>,
        /// Where the rest begins.
        offset: u64,
        /// How much is left.
        left: u64,
        /// The connection's lane; none under TLS.
        lane: Option<Arc<Lane>>,
    },
    /// Bytes that come from elsewhere.
    Stream {
        /// The bytes.
        bytes: mpsc::Receiver<io::Result<Bytes>>,
        /// How many are left.
        left: u64,
    },
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    fn left(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Head(left) | Self::File { left, .. } | Self::Stream { left, .. } => *left,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let bytes = match &mut *self {
            Self::Head(_) => return Poll::Ready(None),
            Self::Bytes(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Self::Bytes(bytes) => Ok(std::mem::take(bytes)),
            Self::File { left: 0, .. } => return Poll::Ready(None),
            Self::File { file, offset, left, lane } => {
                let piece = match lane {
                    Some(lane) => {
                        let length = (*left).min(PIECE_MAX as u64) as usize;
                        Ok(lane.push(file, *offset, length))
                    }
                    None => {
                        let mut bytes = vec![0; (*left).min(READ_SIZE as u64) as usize];
                        file.read_exact_at(&mut bytes, *offset).map(|()| Bytes::from(bytes))
                    }
                };
                if let Ok(piece) = &piece {
                    *offset += piece.len() as u64;
                    *left -= piece.len() as u64;
                }
                piece
            }
            Self::Stream { left: 0, .. } => return Poll::Ready(None),
            Self::Stream { bytes, left } => match ready!(bytes.poll_recv(cx)) {
                Some(Ok(bytes)) => {
                    *left = left.saturating_sub(bytes.len() as u64);
                    Ok(bytes)
                }
                Some(Err(err)) => Err(err),
                // The promised length is not there: the connection must break, or a cache would keep a stump.
                None => Err(io::ErrorKind::UnexpectedEof.into()),
            },
        };
        Poll::Ready(Some(bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        // hyper leaves the length out of an answer whose body is over from the start; to a HEAD it must be told.
        self.left() == 0 && !matches!(self, Self::Head(_))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
