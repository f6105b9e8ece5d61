//! `start`: stopped containers run again; with `-a` we stay with one.

use gantry_client::Query;

use super::signals;
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::print;
use crate::session::Session;
use crate::terminal::{self, Attached, Ended, Resizer, stream, until_told};
use crate::work;

static FLAGS: &[Flag] = &[
    switch("attach", "Attach STDOUT and STDERR and pass signals on").short('a'),
    text("checkpoint", "Restore from this checkpoint"),
    text("checkpoint-dir", "Folder of checkpoints"),
    text("detach-keys", "Keys that leave the container running"),
    switch("interactive", "Attach STDIN").short('i'),
];

pub static START: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    short: "Start one or more stopped containers",
    aliases: &["container start", "start"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let query = Query::new()
        .with_some("checkpoint", m.text("checkpoint"))
        .with_some("checkpoint-dir", m.text("checkpoint-dir"));
    if m.on("attach") || m.on("interactive") {
        return attached(s, m, query).await;
    }
    let client = s.client()?;
    let mut failed = Vec::new();
    for name in &m.words {
        match client.container_start(name, query.clone()).await {
            Ok(()) => print::line(name),
            Err(err) => {
                print::err(&err.to_string());
                failed.push(name.as_str());
            }
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("Error: failed to start containers: {}", failed.join(", ")).into()),
    }
}

async fn attached(s: &Session, m: &Matches, query: Query) -> Outcome {
    if m.words.len() > 1 {
        return Err("you cannot start and attach multiple containers at once".into());
    }
    let client = s.client()?;
    let container = client.container_inspect(m.word(0), false).await?;
    let id = container["Id"].as_str().unwrap_or_default().to_owned();
    let tty = container["Config"]["Tty"] == true;
    let stdin = m.on("interactive") && container["Config"]["OpenStdin"] == true;
    let (keys_text, keys) = s.detach_keys(m.text("detach-keys"))?;
    let proxy = (!tty).then(|| signals::forward(client.clone(), id.clone()));
    let attach = Query::new()
        .flag("stream", true)
        .flag("stdin", stdin)
        .flag("stdout", true)
        .flag("stderr", true)
        .with_some("detachKeys", keys_text);
    let hijacked = client.container_attach(&id, attach).await?;
    let auto_remove = container["HostConfig"]["AutoRemove"] == true;
    let wait = client.container_wait(&id, if auto_remove { "removed" } else { "next-exit" }).await?;
    client.container_start(&id, query).await?;
    let resizer = (tty && terminal::stdout_is()).then(|| {
        let (client, id) = (client.clone(), id.clone());
        Resizer::start(move |rows, columns| {
            let (client, id) = (client.clone(), id.clone());
            async move { client.container_resize(&id, rows, columns).await }
        })
    });
    let streams = stream(hijacked, Attached { stdin, stdout: true, stderr: true, tty }, keys);
    // Signals that are passed on are not for us.
    let ended = match proxy {
        Some(_) => streams.await?,
        None => until_told(streams).await?,
    };
    drop(resizer);
    drop(proxy);
    if ended == Ended::Detached {
        return Ok(());
    }
    match wait.wait_result().await?.0 {
        0 => Ok(()),
        code => Err(Failure::silent(code as u8)),
    }
}
