//! A conversation with a process over a connection that is no longer HTTP: attach and exec.
//!
//! Output goes to the client as it comes, input goes to the process as it is typed. It ends when the output ends,
//! when the client types its detach keys, or when the client has gone; a client that only closes its sending half
//! (`docker run` without `-i` does at once) has ended the input, nothing more.

use crate::detach::{Typed, Watch};
use crate::mux::Framing;
use crate::websocket::{self, Received};
use bytes::Bytes;
use gantry_api::stream::StreamKind;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

/// Typed bytes are read in pieces of this size.
const READ: usize = 32 << 10;

/// The process's side.
pub(crate) struct Streams {
    /// Ends with the process.
    pub(crate) output: mpsc::Receiver<(StreamKind, Bytes)>,
    /// Where input goes. `None`: it is read and dropped, so that the client is never stuck.
    pub(crate) stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
}

/// The client's side.
pub(crate) enum Wire {
    /// Bytes, framed or not.
    Plain(Framing),
    /// Websocket messages; `binary` since API 1.28.
    WebSocket { binary: bool },
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The output has ended.
    Finished,
    /// The detach keys were typed.
    Detached,
    /// The client has gone.
    Gone,
}

/// Talks until the end. `watch` is there when detach keys mean something: with a terminal and input. `gone` tells of a
/// client that has gone where its connection does not, because it has said before that it sends no more.
pub(crate) async fn run<C>(
    client: C,
    streams: Streams,
    wire: Wire,
    watch: Option<Watch>,
    gone: impl Future<Output = ()> + Send,
) -> End
where
    C: AsyncRead + AsyncWrite + Send,
{
    let (from_client, to_client) = tokio::io::split(client);
    let Streams { output, stdin } = streams;
    // Answers to pings must not cut into output.
    let (control, answers) = mpsc::channel(1);
    let input = pump_input(from_client, stdin, &wire, watch, control);
    let output = pump_output(output, answers, to_client, &wire);
    let mut output = std::pin::pin!(output);
    tokio::select! {
        end = output.as_mut() => end,
        ended = input => match ended {
            Input::Detached => End::Detached,
            Input::Gone => End::Gone,
            Input::Over => tokio::select! {
                end = output => end,
                () = gone => End::Gone,
            },
        },
    }
}

/// How the input ended.
enum Input {
    /// The client sends no more; output goes on.
    Over,
    Detached,
    Gone,
}

async fn pump_input<C: AsyncRead + Send>(
    mut from: ReadHalf<C>,
    mut stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    wire: &Wire,
    mut watch: Option<Watch>,
    control: mpsc::Sender<Bytes>,
) -> Input {
    let mut buffer = vec![0; READ];
    loop {
        let typed = match wire {
            Wire::Plain(_) => match from.read(&mut buffer).await {
                Ok(0) => break,
                Ok(n) => buffer[..n].to_vec(),
                Err(_) => return Input::Gone,
            },
            Wire::WebSocket { .. } => match websocket::read(&mut from).await {
                Ok(Some(Received::Data(data))) => data,
                Ok(Some(Received::Ping(payload))) => {
                    if control.send(websocket::pong(&payload)).await.is_err() {
                        return Input::Gone;
                    }
                    continue;
                }
                Ok(Some(Received::Pong)) => continue,
                // Without a half-closed state in this protocol, leaving is leaving.
                Ok(Some(Received::Close) | None) | Err(_) => return Input::Gone,
            },
        };
        let (typed, detached) = match watch.as_mut().map(|watch| watch.feed(&typed)) {
            None => (typed, false),
            Some(Typed::Input(bytes)) => (bytes, false),
            Some(Typed::Detached(bytes)) => (bytes, true),
        };
        if let Some(pipe) = &mut stdin
            && let Err(err) = feed(pipe, &typed).await
        {
            tracing::debug!(%err, "the process takes no more input");
            stdin = None;
        }
        if detached {
            return Input::Detached;
        }
    }
    if let Some(mut pipe) = stdin
        && let Err(err) = pipe.shutdown().await
    {
        tracing::debug!(%err, "ending the process's input");
    }
    Input::Over
}

async fn feed(pipe: &mut Pin<Box<dyn AsyncWrite + Send>>, bytes: &[u8]) -> io::Result<()> {
    pipe.write_all(bytes).await?;
    pipe.flush().await
}

async fn pump_output<C: AsyncWrite + Send>(
    mut output: mpsc::Receiver<(StreamKind, Bytes)>,
    mut answers: mpsc::Receiver<Bytes>,
    mut to: WriteHalf<C>,
    wire: &Wire,
) -> End {
    loop {
        let piece = tokio::select! {
            biased;
            Some(answer) = answers.recv() => answer,
            piece = output.recv() => match (piece, wire) {
                (Some((kind, bytes)), Wire::Plain(framing)) => framing.put(kind, bytes),
                (Some((_, bytes)), Wire::WebSocket { binary }) => websocket::data(*binary, &bytes),
                (None, Wire::Plain(_)) => break,
                (None, Wire::WebSocket { .. }) => {
                    if websocket::write(&mut to, websocket::close()).await.is_err() {
                        return End::Gone;
                    }
                    break;
                }
            },
        };
        if to.write_all(&piece).await.is_err() || to.flush().await.is_err() {
            return End::Gone;
        }
    }
    match to.shutdown().await {
        Ok(()) => End::Finished,
        Err(_) => End::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detach::keys;
    use std::future::pending;
    use tokio::io::duplex;

    fn streams() -> (mpsc::Sender<(StreamKind, Bytes)>, Streams, tokio::io::DuplexStream) {
        let (tx, output) = mpsc::channel(4);
        let (ours, theirs) = duplex(1024);
        (tx, Streams { output, stdin: Some(Box::pin(ours)) }, theirs)
    }

    #[tokio::test]
    async fn output_is_framed_and_input_arrives_until_its_end() {
        let (tx, streams, mut process) = streams();
        let (mut client, server) = duplex(1024);
        let session = tokio::spawn(run(server, streams, Wire::Plain(Framing::Frames), None, pending()));
        client.write_all(b"hi").await.unwrap();
        client.shutdown().await.unwrap();
        let mut input = String::new();
        process.read_to_string(&mut input).await.unwrap();
        assert_eq!(input, "hi");
        tx.send((StreamKind::Stdout, Bytes::from_static(b"yo"))).await.unwrap();
        drop(tx);
        let mut output = Vec::new();
        client.read_to_end(&mut output).await.unwrap();
        assert_eq!(output, [1, 0, 0, 0, 0, 0, 0, 2, b'y', b'o']);
        assert_eq!(session.await.unwrap(), End::Finished);
    }

    #[tokio::test]
    async fn detach_keys_end_the_session_and_are_not_input() {
        let (_tx, streams, mut process) = streams();
        let (mut client, server) = duplex(1024);
        let watch = Some(Watch::new(keys("").unwrap()));
        let session = tokio::spawn(run(server, streams, Wire::Plain(Framing::Raw), watch, pending()));
        client.write_all(b"ls\x10\x11").await.unwrap();
        assert_eq!(session.await.unwrap(), End::Detached);
        let mut input = Vec::new();
        process.read_to_end(&mut input).await.unwrap();
        assert_eq!(input, b"ls");
    }

    #[tokio::test]
    async fn a_process_that_closed_its_input_does_not_end_its_output() {
        let (tx, streams, process) = streams();
        drop(process);
        let (mut client, server) = duplex(1024);
        let session = tokio::spawn(run(server, streams, Wire::Plain(Framing::Raw), None, pending()));
        client.write_all(b"lost").await.unwrap();
        tx.send((StreamKind::Stdout, Bytes::from_static(b"still here"))).await.unwrap();
        drop(tx);
        let mut output = String::new();
        client.read_to_string(&mut output).await.unwrap();
        assert_eq!(output, "still here");
        assert_eq!(session.await.unwrap(), End::Finished);
    }

    #[tokio::test]
    async fn a_websocket_client_is_answered_in_messages() {
        let (tx, streams, _process) = streams();
        let (mut client, server) = duplex(1024);
        let session = tokio::spawn(run(server, streams, Wire::WebSocket { binary: true }, None, pending()));
        // A masked ping with an empty mask, then output, then the end.
        client.write_all(&[0x89, 0x81, 0, 0, 0, 0, b'p']).await.unwrap();
        let mut pong = [0; 3];
        client.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong, [0x8a, 1, b'p']);
        tx.send((StreamKind::Stdout, Bytes::from_static(b"x"))).await.unwrap();
        drop(tx);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, [0x82, 1, b'x', 0x88, 2, 0x03, 0xe8]);
        assert_eq!(session.await.unwrap(), End::Finished);
    }
}
