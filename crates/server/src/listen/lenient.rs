//! A request line as people type it: `curl -g '…/containers/json?filters={"status":["running"]}'`.
//!
//! Go's server takes `"`, `<` and `>` unescaped in a query; hyper answers 400 before any of our code runs. They are escaped in the first line that
//! a connection brings, which is the only one where a person types the URL: programs that send several requests escape them. Bodies and hijacked
//! streams come after that line and pass untouched.

use super::Io;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose first line is escaped as it is read.
pub(crate) struct Lenient {
    io: Box<dyn Io>,
    /// The first line has not ended yet.
    in_line: bool,
    /// What has been read and did not fit any more once it was escaped.
    spilled: Vec<u8>,
}

impl Lenient {
    pub(crate) fn new(io: Box<dyn Io>) -> Lenient {
        Lenient { io, in_line: true, spilled: Vec::new() }
    }

    /// Takes what came in and says what it becomes, if it does not stay as it is.
    fn escape(&mut self, came: &[u8]) -> Option<Vec<u8>> {
        let end = came.iter().position(|&byte| byte == b'\n');
        self.in_line = end.is_none();
        let line = &came[..end.unwrap_or(came.len())];
        if !line.iter().any(|byte| b"\"<>".contains(byte)) {
            return None;
        }
        let mut out = Vec::with_capacity(came.len() + 64);
        for &byte in line {
            match byte {
                b'"' => out.extend(b"%22"),
                b'<' => out.extend(b"%3C"),
                b'>' => out.extend(b"%3E"),
                other => out.push(other),
            }
        }
        out.extend(&came[line.len()..]);
        Some(out)
    }
}

impl AsyncRead for Lenient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.spilled.is_empty() {
            let before = buf.filled().len();
            let read = Pin::new(&mut self.io).poll_read(cx, buf);
            if !self.in_line || !matches!(read, Poll::Ready(Ok(()))) {
                return read;
            }
            let Some(escaped) = self.escape(&buf.filled()[before..]) else { return read };
            buf.set_filled(before);
            self.spilled = escaped;
        }
        let fits = self.spilled.len().min(buf.remaining());
        buf.put_slice(&self.spilled[..fits]);
        self.spilled.drain(..fits);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lenient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn through(pieces: &[&str], at_once: usize) -> String {
        let (mut client, server) = tokio::io::duplex(4096);
        let mut lenient = Lenient::new(Box::new(server));
        let pieces: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        let writer = tokio::spawn(async move {
            for piece in pieces {
                client.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let (mut out, mut buf) = (Vec::new(), vec![0; at_once]);
        loop {
            match lenient.read(&mut buf).await.unwrap() {
                0 => break,
                n => out.extend(&buf[..n]),
            }
        }
        writer.await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn only_the_first_line_is_escaped_however_it_comes() {
        let sent = ["GET /a?f={\"x", "\":[\"<>\"]} HTTP/1.1\r\nA: \"b\"\r\n\r\n", "{\"c\":1}\n\"d\""];
        let wanted = "GET /a?f={%22x%22:[%22%3C%3E%22]} HTTP/1.1\r\nA: \"b\"\r\n\r\n{\"c\":1}\n\"d\"";
        for at_once in [1, 2, 7, 4096] {
            assert_eq!(through(&sent, at_once).await, wanted, "{at_once}");
        }
        assert_eq!(through(&["GET / HTTP/1.0\r\n\r\n"], 64).await, "GET / HTTP/1.0\r\n\r\n");
    }
}
