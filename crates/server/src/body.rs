//! Response bodies: none, whole, or streamed through a bounded channel.

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What is still read of a request that was answered early: Go's servers read as much, and its clients need it to
/// hear the answer instead of a broken pipe.
const LEFTOVER_BYTES: usize = 256 << 10;

/// How long such a client may take to send it.
const LEFTOVER_TIME: Duration = Duration::from_secs(5);

/// A request's body. What nobody has read when it is dropped is read away, within bounds.
pub(crate) struct RequestBody(Option<Incoming>);

impl From<Incoming> for RequestBody {
    fn from(body: Incoming) -> Self {
        RequestBody(Some(body))
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !http_body::Body::is_end_stream(body)) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LEFTOVER_TIME, read_away(body)));
        }
    }
}

async fn read_away(mut body: Incoming) {
    let mut left = LEFTOVER_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Any response body.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;

/// Chunks waiting for a slow client. Small: a stream's producer should feel its consumer.
const STREAM_DEPTH: usize = 16;

/// A body that is there already.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No body.
pub(crate) fn empty() -> Body {
    full(Bytes::new())
}

/// The producing end of a streamed body. Every chunk is flushed to the client as soon as it is taken.
#[derive(Debug, Clone)]
pub struct BodySender(mpsc::Sender<Result<Bytes, io::Error>>);

/// The client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl BodySender {
    /// Sends a chunk, waiting for a place.
    ///
    /// # Errors
    /// When the client has gone.
    pub async fn send(&self, chunk: impl Into<Bytes>) -> Result<(), Gone> {
        self.0.send(Ok(chunk.into())).await.map_err(|_| Gone)
    }

    /// Sends a chunk from a thread that may block.
    ///
    /// # Errors
    /// When the client has gone.
    pub fn blocking_send(&self, chunk: impl Into<Bytes>) -> Result<(), Gone> {
        self.0.blocking_send(Ok(chunk.into())).map_err(|_| Gone)
    }

    /// Breaks the stream off, from a thread that may block: the client sees a cut body, not a whole one.
    pub fn blocking_abort(&self, cause: io::Error) {
        if self.0.blocking_send(Err(cause)).is_err() {
            tracing::debug!("client gone before its stream was broken off");
        }
    }

    /// Resolves when the client has gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// Resolves when the client has gone or the engine ends.
    pub(crate) async fn over(&self, ending: &CancellationToken) {
        tokio::select! {
            () = self.0.closed() => {}
            () = ending.cancelled() => {}
        }
    }
}

/// A streamed body and its producing end. The body ends when every sender is dropped.
pub(crate) fn stream() -> (BodySender, Body) {
    let (tx, rx) = mpsc::channel(STREAM_DEPTH);
    (BodySender(tx), Streamed(rx).boxed_unsync())
}

struct Streamed(mpsc::Receiver<Result<Bytes, io::Error>>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}
