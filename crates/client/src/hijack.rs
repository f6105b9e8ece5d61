//! Connections that turn into raw streams: attach, exec, and whatever else answers 101.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Join, ReadBuf, ReadHalf, WriteHalf};

/// A connection after its upgrade: a reader and a writer that can be used at once.
pub struct Hijacked {
    /// What the engine sends.
    pub reader: HijackedReader,
    /// What the engine gets.
    pub writer: HijackedWriter,
    /// The `Content-Type` of the answer, which tells whether the stream is multiplexed.
    pub content_type: String,
}

/// The engine's bytes.
pub struct HijackedReader(Source);

enum Source {
    Upgraded(ReadHalf<TokioIo<Upgraded>>),
    /// An engine that answered 200 and streams: it can be read, not written.
    Body(Pin<Box<dyn AsyncRead + Send>>),
}

/// Bytes for the engine.
pub struct HijackedWriter(Option<WriteHalf<TokioIo<Upgraded>>>);

impl Hijacked {
    pub(crate) fn upgraded(upgraded: Upgraded, content_type: String) -> Hijacked {
        let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
        Hijacked {
            reader: HijackedReader(Source::Upgraded(reader)),
            writer: HijackedWriter(Some(writer)),
            content_type,
        }
    }

    pub(crate) fn read_only(body: Pin<Box<dyn AsyncRead + Send>>, content_type: String) -> Hijacked {
        Hijacked { reader: HijackedReader(Source::Body(body)), writer: HijackedWriter(None), content_type }
    }
}

impl Hijacked {
    /// Both directions as one stream.
    pub fn joined(self) -> Join<HijackedReader, HijackedWriter> {
        tokio::io::join(self.reader, self.writer)
    }
}

impl HijackedWriter {
    /// Writes all of `bytes` now.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Some(writer) => {
                writer.write_all(bytes).await?;
                writer.flush().await
            }
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Tells the engine that no more input comes; its output can still be read.
    pub async fn close(&mut self) -> io::Result<()> {
        match self.0.take() {
            Some(mut writer) => writer.shutdown().await,
            None => Ok(()),
        }
    }
}

impl AsyncRead for HijackedReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Source::Upgraded(reader) => Pin::new(reader).poll_read(cx, buf),
            Source::Body(reader) => reader.as_mut().poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for HijackedWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Some(writer) => Pin::new(writer).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Some(writer) => Pin::new(writer).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Some(writer) => Pin::new(writer).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
