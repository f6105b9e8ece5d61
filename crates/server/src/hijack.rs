//! Taking a connection over: 101 for clients that ask to upgrade, a streamed 200 for those that do not.

use crate::body::{self, BodySender, RequestBody};
use crate::call::Call;
use crate::listen::Peer;
use crate::mux::Framing;
use crate::reply::{self, Reply};
use crate::session::{self, End, Streams, Wire};
use crate::websocket;
use crate::{detach::Watch, failure::Failure};
use gantry_api::stream::{MULTIPLEXED_STREAM, RAW_STREAM};
use gantry_api::version::ApiVersion;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::future::Future;
use tokio::io::AsyncWriteExt;

/// What is needed of a request to answer it with a session.
pub(crate) struct Door {
    upgrade: Option<OnUpgrade>,
    /// What is still to come of the request; taken when a document was read from it.
    body: Option<RequestBody>,
    headers: HeaderMap,
    content_type: &'static str,
    framing: Framing,
    client: Option<Peer>,
    /// Whether the client is to have read the head before the streams begin.
    after_head: bool,
}

impl Door {
    /// The door of a request. Since 1.42 the media type says whether output is framed.
    pub(crate) fn of(call: Call, tty: bool) -> Door {
        let framing = Framing::of(tty);
        let framed = framing == Framing::Frames && call.version.since(42) && call.upgrade.is_some();
        Door {
            upgrade: call.upgrade,
            body: Some(call.body),
            headers: call.headers,
            content_type: if framed { MULTIPLEXED_STREAM } else { RAW_STREAM },
            framing,
            client: call.client,
            after_head: false,
        }
    }

    /// The door of a request whose body was a document: what follows on the connection is input.
    pub(crate) fn after_body(
        upgrade: Option<OnUpgrade>,
        headers: HeaderMap,
        version: ApiVersion,
        tty: bool,
    ) -> Door {
        let framing = Framing::of(tty);
        let framed = framing == Framing::Frames && version.since(42) && upgrade.is_some();
        let content_type = if framed { MULTIPLEXED_STREAM } else { RAW_STREAM };
        Door { upgrade, body: None, headers, content_type, framing, client: None, after_head: false }
    }

    /// Has the streams begin only when this client has read the head.
    pub(crate) fn after_head(self, client: Option<Peer>) -> Door {
        Door { client, after_head: true, ..self }
    }

    /// Answers with the streams. `ended` runs when the session is over.
    pub(crate) fn open<F>(
        self,
        streams: Streams,
        watch: Option<Watch>,
        ended: impl FnOnce(End) -> F + Send + 'static,
    ) -> Reply
    where
        F: Future<Output = ()> + Send,
    {
        self.open_then(move || std::future::ready((streams, watch)), ended)
    }

    /// Answers first, and begins what has the streams then: a client that reads the head with a buffer and the streams without
    /// (docker-py) would lose output that comes together with the head.
    pub(crate) fn open_then<B, F>(
        self,
        begin: impl FnOnce() -> B + Send + 'static,
        ended: impl FnOnce(End) -> F + Send + 'static,
    ) -> Reply
    where
        B: Future<Output = (Streams, Option<Watch>)> + Send,
        F: Future<Output = ()> + Send,
    {
        let Some(upgrade) = self.upgrade else {
            let (sender, reply) = reply::stream(self.content_type);
            tokio::spawn(async move {
                let (streams, _keys) = begin().await;
                ended(plain(self.body, sender, streams, self.framing).await).await;
            });
            return reply;
        };
        let framing = self.framing;
        tokio::spawn(async move {
            let end = match upgrade.await {
                Ok(io) => {
                    if let Some(client) = self.client.as_ref().filter(|_| self.after_head) {
                        client.has_read().await;
                    }
                    let (streams, watch) = begin().await;
                    let gone = gone(self.client);
                    session::run(TokioIo::new(io), streams, Wire::Plain(framing), watch, gone).await
                }
                Err(err) => {
                    tracing::debug!(%err, "the client left before its connection was taken over");
                    End::Gone
                }
            };
            ended(end).await;
        });
        let reply = reply::status(StatusCode::SWITCHING_PROTOCOLS);
        let reply = reply::with_header(reply, CONTENT_TYPE, self.content_type);
        reply::with_header(reply::with_header(reply, CONNECTION, "Upgrade"), UPGRADE, "tcp")
    }

    /// Answers as a websocket.
    ///
    /// # Errors
    /// Requests that are no websocket handshake.
    pub(crate) fn open_websocket<F>(
        self,
        binary: bool,
        streams: Streams,
        watch: Option<Watch>,
        ended: impl FnOnce(End) -> F + Send + 'static,
    ) -> Result<Reply, Failure>
    where
        F: Future<Output = ()> + Send,
    {
        let accept = websocket::accept(&self.headers)?;
        let Some(upgrade) = self.upgrade else { return Err(Failure::invalid("not a websocket handshake")) };
        tokio::spawn(async move {
            let end = match upgrade.await {
                Ok(io) => {
                    let wire = Wire::WebSocket { binary };
                    session::run(TokioIo::new(io), streams, wire, watch, gone(self.client)).await
                }
                Err(_) => End::Gone,
            };
            ended(end).await;
        });
        let reply = reply::status(StatusCode::SWITCHING_PROTOCOLS);
        let reply = reply::with_header(reply, CONNECTION, "Upgrade");
        let reply = reply::with_header(reply, UPGRADE, "websocket");
        Ok(reply::with_header(reply, websocket::ACCEPT, &accept))
    }
}

/// Waits until a client has gone, where that can be seen.
async fn gone(client: Option<Peer>) {
    match client {
        Some(client) => client.gone().await,
        None => std::future::pending().await,
    }
}

/// A session inside of one request and its response: the request's body is the input.
async fn plain(body: Option<RequestBody>, sender: BodySender, streams: Streams, framing: Framing) -> End {
    let Streams { mut output, stdin } = streams;
    let input = async {
        let Some(mut pipe) = stdin else { return };
        // Without a body there is nobody who could type: the process may wait for input that never comes, as it
        // does behind Docker.
        let Some(mut body) = body else { return std::future::pending().await };
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            if pipe.write_all(&data).await.is_err() || pipe.flush().await.is_err() {
                return;
            }
        }
        if let Err(err) = pipe.shutdown().await {
            tracing::debug!(%err, "ending the process's input");
        }
    };
    let output = async {
        loop {
            let piece = tokio::select! {
                piece = output.recv() => piece,
                () = sender.closed() => return End::Gone,
            };
            let Some((kind, bytes)) = piece else { return End::Finished };
            if let Err(body::Gone) = sender.send(framing.put(kind, bytes)).await {
                return End::Gone;
            }
        }
    };
    let mut output = std::pin::pin!(output);
    tokio::select! {
        end = output.as_mut() => end,
        () = input => output.await,
    }
}
