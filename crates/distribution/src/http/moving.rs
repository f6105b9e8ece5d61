//! How long to wait for an answer: a large body may take hours to leave, and all the while the server owes none.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

use super::{Body, HttpError};

/// Pieces of a request's body that have left.
pub(super) struct Moved(Arc<AtomicU64>);

/// The same request, watched.
pub(super) fn watched(request: Request<Body>) -> (Request<Body>, Moved) {
    let left = Arc::new(AtomicU64::new(0));
    let moved = Moved(Arc::clone(&left));
    (request.map(|body| Watched { body, left }.boxed()), moved)
}

impl Moved {
    /// The answer, if it comes within `patience` of the last piece that left.
    pub async fn answered<T>(
        &self,
        patience: Duration,
        asked: impl Future<Output = T>,
    ) -> Result<T, HttpError> {
        let mut asked = std::pin::pin!(asked);
        loop {
            let before = self.0.load(Ordering::Relaxed);
            match tokio::time::timeout(patience, &mut asked).await {
                Ok(answer) => return Ok(answer),
                Err(_) if self.0.load(Ordering::Relaxed) != before => {}
                Err(_) => return Err(HttpError::Silent),
            }
        }
    }
}

struct Watched {
    body: Body,
    left: Arc<AtomicU64>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.left.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
