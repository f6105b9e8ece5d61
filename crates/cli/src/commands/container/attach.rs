//! `attach`: our streams to a running container's.

use gantry_client::Query;

use super::signals;
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::session::Session;
use crate::terminal::{self, Attached, Ended, Resizer, stream, until_told};
use crate::work;

static FLAGS: &[Flag] = &[
    text("detach-keys", "Keys that leave the container running"),
    switch("no-stdin", "Do not send input"),
    switch("sig-proxy", "Pass signals on to the process").default("true"),
];

pub static ATTACH: Command = Command {
    usage: "[OPTIONS] CONTAINER",
    short: "Attach local standard input, output, and error streams to a running container",
    examples: &[("--no-stdin web", "Watch it; Ctrl-p Ctrl-q leaves it running")],
    aliases: &["container attach", "attach"],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    let container = client.container_inspect(m.word(0), false).await?;
    let state = &container["State"];
    if state["Running"] != true {
        return Err("You cannot attach to a stopped container, start it first".into());
    }
    if state["Paused"] == true {
        return Err("You cannot attach to a paused container, unpause it first".into());
    }
    if state["Restarting"] == true {
        return Err("You cannot attach to a restarting container, wait until it is running".into());
    }
    let config = &container["Config"];
    let tty = config["Tty"] == true;
    let stdin = !m.on("no-stdin") && config["OpenStdin"] == true;
    // As Docker's: whoever cannot type the detach keys says by --no-stdin that they only want to watch.
    if tty && !m.on("no-stdin") && !terminal::stdin_is() {
        return Err("the input device is not a TTY".into());
    }
    let (keys_text, keys) = s.detach_keys(m.text("detach-keys"))?;
    let id = container["Id"].as_str().unwrap_or_default().to_owned();
    let proxy = (m.on("sig-proxy") && !tty).then(|| signals::forward(client.clone(), id.clone()));
    let wait = client.container_wait(&id, "").await?;
    let query = Query::new()
        .flag("stream", true)
        .flag("stdin", stdin)
        .flag("stdout", true)
        .flag("stderr", true)
        .with_some("detachKeys", keys_text);
    let hijacked = client.container_attach(&id, query).await?;
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
        return Err(Failure::text(1, "read escape sequence"));
    }
    match wait.wait_result().await? {
        (0, None) => Ok(()),
        (code, None) => Err(Failure::silent(code as u8)),
        (_, Some(why)) => Err(Failure::text(1, why)),
    }
}
