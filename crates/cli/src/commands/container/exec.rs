//! `exec`: one more process in a running container; its exit code is ours.

use serde_json::json;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, list, switch, text};
use crate::parse::env;
use crate::session::Session;
use crate::terminal::{self, Attached, Ended, Resizer, stream, until_told};
use crate::work;

static FLAGS: &[Flag] = &[
    switch("detach", "Run in the background").short('d'),
    text("detach-keys", "Keys that leave the process running"),
    list("env", "Set an environment variable").short('e').check(env::validate_env),
    list("env-file", "File with environment variables"),
    switch("interactive", "Keep STDIN open even when nobody is attached").short('i'),
    switch("privileged", "Give all privileges"),
    switch("tty", "Give the process a terminal").short('t'),
    text("user", "User (and group) to run as: name or number").short('u'),
    text("workdir", "Working folder inside the container").short('w'),
];

pub static EXEC: Command = Command {
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    short: "Execute a command in a running container",
    examples: &[
        ("-it web sh", "A shell beside the container's own process"),
        ("-u root -w /srv web ls", "As another user, in another folder"),
    ],
    aliases: &["container exec", "exec"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(2),
    interspersed: false,
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    let (detach, tty) = (m.on("detach"), m.on("tty"));
    let stdin = m.on("interactive") && !detach;
    let environment = env::env(&m.all("env-file"), &m.all("env"))?;
    let (keys_text, keys) = s.detach_keys(m.text("detach-keys"))?;
    if !detach && tty && stdin && !terminal::stdin_is() {
        // A container that is not there is what they want to know first.
        client.container_inspect(m.word(0), false).await?;
        return Err("the input device is not a TTY".into());
    }
    let console = terminal::size().filter(|_| tty).map(|(rows, columns)| json!([rows, columns]));
    let mut body = json!({
        "User": m.text("user"),
        "Privileged": m.on("privileged"),
        "Tty": tty,
        "AttachStdin": stdin,
        "AttachStderr": !detach,
        "AttachStdout": !detach,
        "DetachKeys": keys_text,
        "Env": environment,
        "WorkingDir": m.text("workdir"),
        "Cmd": m.words[1..],
    });
    if let Some(console) = &console {
        body["ConsoleSize"] = console.clone();
    }
    let id = client.exec_create(m.word(0), &body).await?;
    if detach {
        return Ok(client.exec_start(&id, tty).await?);
    }
    let mut start = json!({"Detach": false, "Tty": tty});
    if let Some(console) = console {
        start["ConsoleSize"] = console;
    }
    let hijacked = client.exec_attach(&id, &start).await?;
    let resizer = (tty && terminal::stdout_is()).then(|| {
        let (client, id) = (client.clone(), id.clone());
        Resizer::start(move |rows, columns| {
            let (client, id) = (client.clone(), id.clone());
            async move { client.exec_resize(&id, rows, columns).await }
        })
    });
    let attached = Attached { stdin, stdout: true, stderr: true, tty };
    let ended = until_told(stream(hijacked, attached, keys)).await?;
    drop(resizer);
    if ended == Ended::Detached {
        return Err(Failure::text(1, "read escape sequence"));
    }
    match client.exec_inspect(&id).await?["ExitCode"].as_i64() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::silent(code as u8)),
        None => Err(Failure::silent(1)),
    }
}
