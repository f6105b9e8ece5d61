//! Serving calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{CONNECTION_WINDOW, Inbound, MESSAGE_BYTES, Outbound, STREAM_WINDOW, Status};

/// Calls of one connection that may be under way at once.
const CALLS: u32 = 1000;

/// Answers calls.
pub trait Service: Send + Sync + 'static {
    /// One call, until it is answered.
    fn call(self: Arc<Self>, call: Call) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// One call.
#[derive(Debug)]
pub struct Call {
    /// `/package.Service/Method`.
    pub method: String,
    /// What the caller said beside its messages.
    pub metadata: HeaderMap,
    /// Its messages.
    pub input: Inbound,
    /// The way back.
    pub reply: Responder,
}

/// The way back to a caller. Dropped without an end, it resets the stream.
#[derive(Debug)]
pub struct Responder {
    head: Option<SendResponse<Bytes>>,
    body: Option<Outbound>,
}

impl Responder {
    fn begin(&mut self) -> Result<&mut Outbound, Status> {
        if let Some(mut head) = self.head.take() {
            let mut response = Response::new(());
            response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
            self.body = Some(Outbound { stream: head.send_response(response, false)? });
        }
        self.body.as_mut().ok_or_else(|| Status::unavailable("the answer has ended"))
    }

    /// Sends one message.
    pub async fn send<M: Message>(&mut self, message: &M) -> Result<(), Status> {
        self.begin()?.send(message).await
    }

    /// Ends the call.
    pub fn end(mut self, status: &Status) {
        let ended = self.begin().and_then(|body| Ok(body.stream.send_trailers(status.trailers())?));
        if let Err(error) = ended {
            tracing::debug!(%error, "the caller left before its call was answered");
        }
    }

    /// Answers with one message, or none and an error.
    pub async fn answer<M: Message>(mut self, outcome: Result<M, Status>) {
        let outcome = match outcome {
            Ok(message) => self.send(&message).await,
            Err(status) => Err(status),
        };
        self.end(&outcome.err().unwrap_or_default());
    }

    /// Resolves when the caller has given up or its connection is gone.
    pub async fn gone(&mut self) {
        match (&mut self.head, &mut self.body) {
            (Some(head), _) => {
                let _reason = std::future::poll_fn(|cx| head.poll_reset(cx)).await;
            }
            (None, Some(body)) => body.gone().await,
            (None, None) => {}
        }
    }
}

impl Call {
    /// The one message of a call that has one.
    pub async fn message<M: Message + Default>(&mut self) -> Result<M, Status> {
        Ok(self.input.next().await?.unwrap_or_default())
    }

    /// A text of the metadata.
    pub fn text(&self, name: &str) -> &str {
        self.metadata.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Serves one connection until it ends, each call in a task of its own; they are cut off with it.
pub async fn serve<IO>(io: IO, service: Arc<dyn Service>) -> Result<(), Status>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(CALLS)
        .max_send_buffer_size(MESSAGE_BYTES)
        .handshake::<_, Bytes>(io)
        .await?;
    let mut calls = tokio::task::JoinSet::new();
    while let Some(accepted) = connection.accept().await {
        let (request, head) = accepted?;
        let (parts, body) = request.into_parts();
        let call = Call {
            method: parts.uri.path().to_owned(),
            metadata: parts.headers,
            input: Inbound::new(body),
            reply: Responder { head: Some(head), body: None },
        };
        calls.spawn(Arc::clone(&service).call(call));
        while calls.try_join_next().is_some() {}
    }
    Ok(())
}
