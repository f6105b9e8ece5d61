//! `logs`.

use gantry_client::{Frames, Query, StreamKind};
use jiff::Timestamp;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::parse::time;
use crate::print;
use crate::session::Session;
use crate::work;

pub static FLAGS: &[Flag] = &[
    switch("details", "Show what the log driver adds"),
    switch("follow", "Wait for more").short('f'),
    text("since", "From this time on (\"2026-01-02T13:23:37Z\") or this long ago (\"42m\")"),
    text("tail", "How many lines of the end").short('n').default("all"),
    switch("timestamps", "Show times").short('t'),
    text("until", "Up to this time or this long ago"),
];

pub static LOGS: Command = Command {
    usage: "[OPTIONS] CONTAINER",
    short: "Fetch the logs of a container",
    examples: &[
        ("-f --tail 20 web", "The last lines, and what comes"),
        ("--since 10m -t web", "Ten minutes, with times"),
    ],
    aliases: &["container logs", "logs"],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    let container = client.container_inspect(m.word(0), false).await?;
    let now = Timestamp::now();
    let since =
        time::to_query(m.text("since"), now).map_err(|why| format!("invalid value for \"since\": {why}"))?;
    let until =
        time::to_query(m.text("until"), now).map_err(|why| format!("invalid value for \"until\": {why}"))?;
    let query = Query::new()
        .flag("stdout", true)
        .flag("stderr", true)
        .with_some("since", since)
        .with_some("until", until)
        .flag("timestamps", m.on("timestamps"))
        .flag("details", m.on("details"))
        .flag("follow", m.on("follow"))
        .with("tail", m.text("tail"));
    let id = container["Id"].as_str().unwrap_or_default();
    let mut stream = client.container_logs(id, query).await?;
    if container["Config"]["Tty"] == true {
        while let Some(bytes) = stream.next().await? {
            print::bytes(&bytes);
        }
        return Ok(());
    }
    let mut frames = Frames::new(stream.into_reader());
    while let Some(frame) = frames.next().await? {
        match frame.kind {
            StreamKind::Stderr => {
                use std::io::Write;
                // Nobody is left to be told that standard error is closed.
                let _ = std::io::stderr().lock().write_all(&frame.bytes);
            }
            StreamKind::System => {
                let why = String::from_utf8_lossy(&frame.bytes).into_owned();
                return Err(format!("error from daemon in stream: {why}").into());
            }
            _ => print::bytes(&frame.bytes),
        }
    }
    Ok(())
}
