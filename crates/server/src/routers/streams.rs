//! Attach: a client joins a container's streams.

use crate::App;
use crate::call::Call;
use crate::detach::{self, Watch};
use crate::failure::Failure;
use crate::hijack::Door;
use crate::reply::Answer;
use crate::route::routes;
use crate::session::{End, Streams};
use bytes::Bytes;
use gantry_api::stream::StreamKind;
use gantry_engine::{AttachRequest, Attachment, Output};
use std::sync::Arc;
use tokio::sync::mpsc;

routes! {
    POST "/containers/{}/attach" => attach,
    GET "/containers/{}/attach/ws" => attach_websocket,
}

/// An attachment as a session takes it, and the watch for the keys that leave it.
pub(super) fn streams(attachment: Attachment, keys: Vec<u8>) -> (Streams, Option<Watch>) {
    let watch = (attachment.tty && attachment.stdin.is_some()).then(|| Watch::new(keys));
    (Streams { output: kinds(attachment.output), stdin: attachment.stdin }, watch)
}

/// The engine's word for a stream becomes the wire's.
fn kinds(mut from: mpsc::Receiver<(Output, Bytes)>) -> mpsc::Receiver<(StreamKind, Bytes)> {
    let (to, output) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            // A process that says nothing must not keep what nobody reads any more.
            let next = tokio::select! {
                next = from.recv() => next,
                () = to.closed() => return,
            };
            let Some((stream, bytes)) = next else { return };
            let kind = match stream {
                Output::Stdout => StreamKind::Stdout,
                Output::Stderr => StreamKind::Stderr,
            };
            if to.send((kind, bytes)).await.is_err() {
                return;
            }
        }
    });
    output
}

async fn tell_detached(app: Arc<App>, name: String, end: End) {
    if end == End::Detached {
        app.engine.container_detached(&name).await;
    }
}

async fn attach(call: Call) -> Answer {
    let q = &call.query;
    let keys = detach::keys(q.get("detachKeys"))?;
    let request = AttachRequest {
        stdin: q.flag("stdin"),
        stdout: q.flag("stdout"),
        stderr: q.flag("stderr"),
        logs: q.flag("logs"),
        stream: q.flag("stream"),
    };
    let (app, name) = (call.app.clone(), call.name.clone());
    let attachment = app.engine.container_attach(&name, request).await?;
    let door = Door::of(call, attachment.tty);
    let (streams, watch) = streams(attachment, keys);
    Ok(door.open(streams, watch, move |end| tell_detached(app, name, end)))
}

async fn attach_websocket(call: Call) -> Answer {
    if call.upgrade.is_none() {
        return Err(Failure::invalid("not a websocket handshake"));
    }
    crate::websocket::accept(&call.headers)?;
    let q = &call.query;
    let keys = detach::keys(q.get("detachKeys"))?;
    // Before 1.42 a websocket always had all three.
    let all = call.version.before(42);
    let request = AttachRequest {
        stdin: all || q.flag("stdin"),
        stdout: all || q.flag("stdout"),
        stderr: all || q.flag("stderr"),
        logs: q.flag("logs"),
        stream: q.flag("stream"),
    };
    let (app, name, binary) = (call.app.clone(), call.name.clone(), call.version.since(28));
    let attachment = app.engine.container_attach(&name, request).await?;
    let door = Door::of(call, attachment.tty);
    let (streams, watch) = streams(attachment, keys);
    door.open_websocket(binary, streams, watch, move |end| tell_detached(app, name, end))
}
