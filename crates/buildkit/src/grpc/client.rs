//! Calling.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::{CONNECTION_WINDOW, Code, Inbound, MESSAGE_BYTES, Outbound, STREAM_WINDOW, Status};

/// A connection that calls go out on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    send: SendRequest<Bytes>,
    open: watch::Receiver<bool>,
}

impl Channel {
    /// Speaks HTTP/2 on a stream whose other side serves; a task of its own drives it until it ends.
    pub async fn over<IO>(io: IO) -> Result<Self, Status>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(MESSAGE_BYTES)
            .enable_push(false)
            .handshake(io)
            .await?;
        let (told, open) = watch::channel(true);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection has ended");
            }
            told.send_replace(false);
        });
        Ok(Self { send, open })
    }

    /// Resolves when the connection has ended.
    pub async fn closed(&self) {
        // The task that drives the connection drops the sender: either way it is over.
        let mut open = self.open.clone();
        let _over = open.wait_for(|open| !open).await.is_ok();
    }

    /// Whether the connection still stands.
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// Opens a call of `/package.Service/Method`.
    pub async fn open(&self, method: &str, metadata: HeaderMap) -> Result<(Outbound, Answer), Status> {
        let mut request = Request::post(format!("http://localhost{method}"))
            .body(())
            .map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))?;
        *request.headers_mut() = metadata;
        let headers = request.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/grpc"));
        headers.insert("te", http::HeaderValue::from_static("trailers"));
        let mut send = self.send.clone().ready().await?;
        let (response, stream) = send.send_request(request, false)?;
        Ok((Outbound { stream }, Answer(State::Waiting(response))))
    }

    /// One message there, one back.
    pub async fn unary<Q: Message, A: Message + Default>(
        &self,
        method: &str,
        metadata: HeaderMap,
        request: &Q,
    ) -> Result<A, Status> {
        let (mut outbound, mut answer) = self.open(method, metadata).await?;
        // A server that refuses does not read: what it says comes first, that nobody read after it.
        let sent = match outbound.send(request).await {
            Ok(()) => outbound.close(),
            failed => failed,
        };
        let message = answer.next().await?;
        sent?;
        let silent = || Status::new(Code::Internal, format!("{method} was answered with no message"));
        let message = message.ok_or_else(silent)?;
        answer.end().await?;
        Ok(message)
    }
}

/// What comes back. Servers send their head with the first message, so it is waited for when one is asked for.
#[derive(Debug)]
pub struct Answer(State);

#[derive(Debug)]
enum State {
    Waiting(ResponseFuture),
    Open(Inbound),
    Ended(Status),
}

impl Answer {
    /// The next message; `None` after the last one of a call that went well.
    pub async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        loop {
            match &mut self.0 {
                State::Waiting(response) => {
                    let response = response.await?;
                    self.0 = match Status::told(response.headers()) {
                        Some(status) => State::Ended(status),
                        None if response.status() != http::StatusCode::OK => {
                            State::Ended(Status::unavailable(format!("HTTP status {}", response.status())))
                        }
                        None => State::Open(Inbound::new(response.into_body())),
                    };
                }
                State::Open(inbound) => {
                    if let Some(message) = inbound.next().await? {
                        return Ok(Some(message));
                    }
                    let trailers = inbound.trailers().await?;
                    let cut = || Status::unavailable("the call ended without a status");
                    self.0 = State::Ended(trailers.as_ref().and_then(Status::told).unwrap_or_else(cut));
                }
                State::Ended(status) if status.is_ok() => return Ok(None),
                State::Ended(status) => return Err(status.clone()),
            }
        }
    }

    /// Reads to the end.
    pub async fn end(&mut self) -> Result<(), Status> {
        while self.next::<()>().await?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::{Call, Service, serve};
    use super::*;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;

    #[derive(Clone, PartialEq, Message)]
    struct Word {
        #[prost(string, tag = "1")]
        text: String,
    }

    struct Echo;

    impl Service for Echo {
        fn call(self: Arc<Self>, mut call: Call) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move {
                if call.method == "/t.Echo/Refuse" {
                    let status = Status::new(Code::NotFound, "nichts: ü\n").with_detail("x/y+json", "{}");
                    return call.reply.answer(Err::<Word, _>(status)).await;
                }
                if call.method == "/t.Echo/Once" {
                    let word = call.input.next::<Word>().await;
                    return call.reply.answer(word.map(Option::unwrap_or_default)).await;
                }
                while let Ok(Some(word)) = call.input.next::<Word>().await {
                    if call.reply.send(&word).await.is_err() {
                        return;
                    }
                }
                call.reply.end(&Status::default());
            })
        }
    }

    async fn channel() -> Channel {
        let (here, there) = tokio::io::duplex(1 << 12);
        tokio::spawn(serve(there, Arc::new(Echo)));
        Channel::over(here).await.unwrap()
    }

    #[tokio::test]
    async fn large_messages_go_there_and_back_while_both_sides_talk() {
        let channel = channel().await;
        let (mut outbound, mut answer) = channel.open("/t.Echo/Say", HeaderMap::new()).await.unwrap();
        let word = Word { text: "x".repeat(3 << 20) };
        let talk = async {
            for _ in 0..4 {
                outbound.send(&word).await.unwrap();
            }
            outbound.close().unwrap();
        };
        let listen = async {
            let mut heard = 0;
            while let Some(back) = answer.next::<Word>().await.unwrap() {
                assert_eq!(back, word);
                heard += 1;
            }
            heard
        };
        assert_eq!(tokio::join!(talk, listen).1, 4);
    }

    #[tokio::test]
    async fn a_call_that_was_answered_before_it_was_ended_went_well() {
        let (mut outbound, mut answer) =
            channel().await.open("/t.Echo/Once", HeaderMap::new()).await.unwrap();
        let word = Word { text: "x".into() };
        outbound.send(&word).await.unwrap();
        assert_eq!(answer.next::<Word>().await.unwrap(), Some(word));
        answer.end().await.unwrap();
        outbound.close().unwrap();
    }

    #[tokio::test]
    async fn a_refusal_comes_with_text_and_details() {
        let said =
            channel().await.unary::<_, Word>("/t.Echo/Refuse", HeaderMap::new(), &Word::default()).await;
        let status = said.unwrap_err();
        assert_eq!((status.code, status.message.as_str()), (i32::from(Code::NotFound), "nichts: ü\n"));
        assert_eq!(status.details[0].type_url, "x/y+json");
    }
}
