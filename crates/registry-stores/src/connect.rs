//! The library's requests over the client that the rest of Gantry uses: one TLS, one proxy logic, no second stack.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gantry_distribution::http::{Client, Tls};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use tokio::time::Sleep;

/// A far store that sends no byte of an answer for so long has gone away.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// Our client as the library wants it.
#[derive(Clone)]
pub(crate) struct Connector {
    pub client: Client,
    pub tls: Arc<Tls>,
    /// No credentials go out. (The library sends an empty bearer token with its writes even when told not to.)
    pub anonymous: bool,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut request = request;
        if self.anonymous {
            request.headers_mut().remove(http::header::AUTHORIZATION);
        }
        let request = request.map(|body| body.map_err(io::Error::other).boxed());
        let response = self.client.send(&self.tls, request).await.map_err(|err| {
            let kind = if err.passing() { HttpErrorKind::Connect } else { HttpErrorKind::Unknown };
            HttpError::new(kind, err)
        })?;
        let (parts, body) = response.into_parts();
        let body =
            Patient { body, waits: None }.map_err(|err| HttpError::new(HttpErrorKind::Interrupted, err));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

/// A body whose silence ends.
struct Patient<B> {
    body: B,
    waits: Option<Pin<Box<Sleep>>>,
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waits = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(BODY_PATIENCE)));
        match waits.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
