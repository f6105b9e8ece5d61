//! Bodies: what is sent, and streams of what is received.

use std::io;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::ClientError;

/// A chunk read from a file or a pipe at once.
const CHUNK: usize = 64 * 1024;

/// Bytes of one JSON message of a stream; an engine that sends more is not one.
const MAX_MESSAGE: usize = 64 << 20;

/// The body of a request.
pub struct Body(pub(crate) BoxBody<Bytes, io::Error>);

impl Body {
    /// No body.
    pub fn empty() -> Body {
        Body::bytes(Bytes::new())
    }

    /// A body held in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Body {
        Body(Full::new(bytes.into()).map_err(|never| match never {}).boxed())
    }

    /// A body read while it is sent.
    pub fn reader(reader: impl AsyncRead + Send + Sync + Unpin + 'static) -> Body {
        let stream = futures_util::stream::unfold(reader, |mut reader| async move {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            match reader.read_buf(&mut chunk).await {
                Ok(0) => None,
                Ok(_) => Some((Ok(Frame::data(chunk.freeze())), reader)),
                Err(err) => Some((Err(err), reader)),
            }
        });
        Body(BoxBody::new(StreamBody::new(stream)))
    }

    /// A body made chunk by chunk elsewhere.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static) -> Body {
        use futures_util::StreamExt;
        Body(BoxBody::new(StreamBody::new(stream.map(|chunk| chunk.map(Frame::data)))))
    }
}

/// The bytes of an answer, as they come.
pub struct ByteStream(pub(crate) Incoming);

impl ByteStream {
    /// The next bytes, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.0.frame().await {
                None => return Ok(None),
                Some(Err(err)) => return Err(ClientError::Protocol(told(&err))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The rest of the answer in memory.
    pub async fn collect(self) -> Result<Bytes, ClientError> {
        match self.0.collect().await {
            Ok(all) => Ok(all.to_bytes()),
            Err(err) => Err(ClientError::Protocol(told(&err))),
        }
    }

    /// The answer as a sequence of JSON messages.
    pub fn json(self) -> JsonStream {
        JsonStream { bytes: self, buffer: BytesMut::new(), scan: Scan::default(), ended: false }
    }

    /// The answer as a reader.
    pub fn into_reader(self) -> Pin<Box<dyn AsyncRead + Send>> {
        Box::pin(StreamReader { stream: self.0, rest: Bytes::new() })
    }
}

pub(crate) fn told(err: &hyper::Error) -> String {
    if err.is_incomplete_message() || err.is_body_write_aborted() {
        return "unexpected EOF".into();
    }
    gantry_errdefs::chain(err)
}

struct StreamReader {
    stream: Incoming,
    rest: Bytes,
}

impl AsyncRead for StreamReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        use http_body::Body as _;
        use std::task::Poll;
        loop {
            if !self.rest.is_empty() {
                let n = self.rest.len().min(buf.remaining());
                let part = self.rest.split_to(n);
                buf.put_slice(&part);
                return Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.stream).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(err))) => return Poll::Ready(Err(io::Error::other(told(&err)))),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest = data;
                    }
                }
            }
        }
    }
}

/// A stream of JSON messages: progress, events, stats.
pub struct JsonStream {
    bytes: ByteStream,
    buffer: BytesMut,
    scan: Scan,
    ended: bool,
}

impl JsonStream {
    /// The next message, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Value>, ClientError> {
        loop {
            if let Some(end) = self.scan.find_end(&self.buffer) {
                let message = self.buffer.split_to(end);
                self.scan = Scan::default();
                return match serde_json::from_slice(&message) {
                    Ok(value) => Ok(Some(value)),
                    Err(err) => Err(ClientError::Protocol(err.to_string())),
                };
            }
            if self.ended {
                // A half message at the end is a connection that broke.
                let rest = self.buffer.iter().any(|b| !b.is_ascii_whitespace());
                self.buffer.clear();
                return if rest { Err(ClientError::Protocol("unexpected EOF".into())) } else { Ok(None) };
            }
            if self.buffer.len() > MAX_MESSAGE {
                return Err(ClientError::Protocol("a message of the stream is too large".into()));
            }
            match self.bytes.next().await? {
                Some(more) => self.buffer.extend_from_slice(more.chunk()),
                None => self.ended = true,
            }
        }
    }
}

/// Finds where the first JSON object or array of a buffer ends, without reading bytes twice.
#[derive(Default)]
struct Scan {
    at: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Scan {
    fn find_end(&mut self, buffer: &[u8]) -> Option<usize> {
        while let Some(byte) = buffer.get(self.at) {
            self.at += 1;
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Scan;

    #[test]
    fn messages_end_where_their_braces_close() {
        let text = br#"{"a":"}\"{"}  {"b":[1]}"#;
        let mut scan = Scan::default();
        assert_eq!(scan.find_end(&text[..5]), None);
        assert_eq!(scan.find_end(text), Some(12));
        let mut scan = Scan::default();
        assert_eq!(scan.find_end(&text[12..]), Some(text.len() - 12));
    }
}
