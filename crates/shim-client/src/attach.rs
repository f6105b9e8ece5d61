//! An attached connection: pieces of output come out, standard input goes in.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use gantry_names::ExecId;
use gantry_shim_protocol::{Request, stream};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::ShimError;
use crate::connection::Connection;
use crate::shim::done;

/// Bytes asked of the socket at once.
const READ: usize = 64 << 10;

/// Which streams to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachTo {
    /// Write standard input.
    pub stdin: bool,
    /// Read standard output.
    pub stdout: bool,
    /// Read standard error.
    pub stderr: bool,
    /// Close the process' input when ours ends, even without `stdin_once`.
    pub close_stdin: bool,
}

impl AttachTo {
    /// Standard output and error.
    pub fn output() -> AttachTo {
        AttachTo { stdin: false, stdout: true, stderr: true, close_stdin: false }
    }

    /// All three.
    pub fn all() -> AttachTo {
        AttachTo { stdin: true, ..AttachTo::output() }
    }
}

/// A joined process. The two halves are independent; dropping both detaches.
#[derive(Debug)]
pub struct Attachment {
    /// Output.
    pub output: Output,
    /// Input.
    pub input: Input,
}

/// Which stream a piece of output is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output, and all output of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Some output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Of which stream.
    pub stream: Stream,
    /// The bytes, as the process wrote them.
    pub bytes: Bytes,
}

/// The reading half. The shim stops reading the container while this side does not take what it has, and drops an
/// attachment that takes no byte for a minute.
#[derive(Debug)]
pub struct Output {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

impl Output {
    /// The next piece; `None` when the process has ended and all was delivered, or the shim has dropped us.
    /// Cancel-safe.
    pub async fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.buffered()? {
                return Ok(Some(piece));
            }
            self.buffer.reserve(READ);
            match self.half.read_buf(&mut self.buffer).await {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(err) if err.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(err) => return Err(err),
            }
        }
    }

    fn buffered(&mut self) -> io::Result<Option<Piece>> {
        let Some(header) = self.buffer.first_chunk::<{ stream::HEADER }>() else { return Ok(None) };
        let (stream, len) = stream::parse(*header)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a piece of output"))?;
        if self.buffer.len() < stream::HEADER + len {
            return Ok(None);
        }
        self.buffer.advance(stream::HEADER);
        let stream = if stream == stream::STDERR { Stream::Stderr } else { Stream::Stdout };
        Ok(Some(Piece { stream, bytes: self.buffer.split_to(len).freeze() }))
    }
}

/// The writing half: an `AsyncWrite` whose shutdown is the end of the input. Dropping it is an end, too.
#[derive(Debug)]
pub struct Input {
    half: OwnedWriteHalf,
}

impl AsyncWrite for Input {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.half).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.half).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.half).poll_shutdown(cx)
    }
}

pub(crate) async fn attach(
    bundle: &Path,
    session: Option<&ExecId>,
    to: AttachTo,
) -> Result<Attachment, ShimError> {
    let AttachTo { stdin, stdout, stderr, close_stdin } = to;
    let request = Request::Attach { session: session.cloned(), stdin, stdout, stderr, close_stdin };
    let (connection, response) = Connection::open(bundle, &request).await?;
    done(response)?;
    let (stream, rest) = connection.into_raw();
    let (read, write) = stream.into_split();
    let output = Output { half: read, buffer: BytesMut::from(&rest[..]) };
    Ok(Attachment { output, input: Input { half: write } })
}
