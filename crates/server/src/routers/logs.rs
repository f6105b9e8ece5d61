//! What a container has written.

use crate::body::{BodySender, Gone};
use crate::call::Call;
use crate::failure::Failure;
use crate::mux::Framing;
use crate::reply::{self, Answer};
use crate::route::routes;
use crate::timestamp::{rfc3339_nano_fixed, unix};
use bytes::{Bytes, BytesMut};
use gantry_api::stream::{MULTIPLEXED_STREAM, RAW_STREAM, StreamKind};
use gantry_engine::{LogLine, Logs, LogsRequest, Output};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

routes! {
    GET "/containers/{}/logs" => logs,
}

/// What of a line is shown beside it.
#[derive(Clone, Copy)]
struct Shown {
    time: bool,
    details: bool,
}

async fn logs(call: Call) -> Answer {
    let q = &call.query;
    let (stdout, stderr) = (q.flag("stdout"), q.flag("stderr"));
    if !stdout && !stderr {
        return Err(Failure::invalid("Bad parameters: you must choose at least one stream"));
    }
    let shown = Shown { time: q.flag("timestamps"), details: q.flag("details") };
    let request = LogsRequest {
        stdout,
        stderr,
        since: unix(q.get("since"))?,
        // 0 means no end, as in Docker.
        until: unix(q.get("until"))?.filter(|until| until.as_nanosecond() != 0),
        // `all`, nothing, and what is no number mean all.
        tail: q.get("tail").parse::<i64>().ok().and_then(|n| u64::try_from(n).ok()),
        follow: q.flag("follow"),
        details: shown.details,
    };
    let logs = call.app.engine.container_logs(&call.name, request).await?;
    let framed = !logs.tty && call.version.since(42);
    let (sender, answer) = reply::stream(if framed { MULTIPLEXED_STREAM } else { RAW_STREAM });
    tokio::spawn(send(logs, sender, shown, call.app.ending.clone()));
    Ok(answer)
}

/// Bytes put together into one piece before they are sent, when more lines are there already.
const PIECE: usize = 64 << 10;

async fn send(logs: Logs, sender: BodySender, shown: Shown, ending: CancellationToken) {
    let framing = Framing::of(logs.tty);
    let mut lines = logs.lines;
    loop {
        let line = tokio::select! {
            biased;
            line = lines.recv() => line,
            () = sender.over(&ending) => return,
        };
        let Some(line) = line else { return };
        let mut piece = BytesMut::from(&put(line, framing, shown)[..]);
        while piece.len() < PIECE
            && let Ok(line) = lines.try_recv()
        {
            piece.extend_from_slice(&put(line, framing, shown));
        }
        if let Err(Gone) = sender.send(piece).await {
            return;
        }
    }
}

fn put(line: Result<LogLine, String>, framing: Framing, shown: Shown) -> Bytes {
    match line {
        Ok(line) => {
            let kind = match line.stream {
                Output::Stdout => StreamKind::Stdout,
                Output::Stderr => StreamKind::Stderr,
            };
            framing.put(kind, decorate(line, shown))
        }
        Err(text) => framing.put(StreamKind::SystemError, format!("Error grabbing logs: {text}\n").into()),
    }
}

/// The line with what is shown before it.
fn decorate(line: LogLine, shown: Shown) -> Bytes {
    if !shown.time && !shown.details {
        return line.line;
    }
    let mut text = BytesMut::with_capacity(line.line.len() + 64);
    if shown.time {
        text.extend_from_slice(rfc3339_nano_fixed(line.time).as_bytes());
        text.extend_from_slice(b" ");
    }
    if shown.details {
        text.extend_from_slice(attributes(&line.attrs).as_bytes());
        text.extend_from_slice(b" ");
    }
    text.extend_from_slice(&line.line);
    text.freeze()
}

/// `a=b,c=d`, escaped as in a query.
fn attributes(attrs: &BTreeMap<String, String>) -> String {
    let pair = |(key, value): (&String, &String)| format!("{}={}", escape(key), escape(value));
    attrs.iter().map(pair).collect::<Vec<_>>().join(",")
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn lines_carry_what_was_asked_for() {
        let line = || LogLine {
            stream: Output::Stderr,
            time: Timestamp::new(1_136_073_600, 5).unwrap(),
            line: Bytes::from_static(b"hi\n"),
            attrs: BTreeMap::from([("a b".into(), "c,d".into())]),
        };
        let text = |time, details| decorate(line(), Shown { time, details });
        assert_eq!(text(false, false), "hi\n");
        assert_eq!(text(true, false), "2006-01-01T00:00:00.000000005Z hi\n");
        assert_eq!(text(false, true), "a+b=c%2Cd hi\n");
        let framed = put(Err("x".into()), Framing::Frames, Shown { time: false, details: false });
        assert_eq!(framed[0], 3);
        assert_eq!(&framed[8..], b"Error grabbing logs: x\n");
    }
}
