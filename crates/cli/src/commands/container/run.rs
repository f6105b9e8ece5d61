//! `run`: create, attach, start, wait; the container's exit code is ours.

use gantry_client::{Client, Query};

use super::create::{create, read, with_hint};
use super::options::CONTAINER;
use super::signals;
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::print;
use crate::session::Session;
use crate::terminal::{self, Attached, Ended, Resizer, stream};
use crate::work;

static RUN_ONLY: &[Flag] = &[
    switch("detach", "Run in the background and print the container's id").short('d'),
    text("detach-keys", "Keys that leave the container running"),
    switch("sig-proxy", "Pass signals on to the process").default("true"),
];

pub static RUN: Command = Command {
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    short: "Create and run a new container from an image",
    examples: &[
        ("-it --rm debian bash", "A shell in a new container that goes when you leave it"),
        (
            "-d --name web -p 127.0.0.1:8080:80 -v $PWD/site:/www:ro busybox httpd -f -h /www",
            "A web server on a port of this machine, with a folder of it",
        ),
        (
            "--rm -m 256m --cpus 1.5 --read-only --cap-drop ALL app:1",
            "With limits, and with as few rights as it needs",
        ),
    ],
    aliases: &["container run", "run"],
    flags: &[CONTAINER, RUN_ONLY],
    arity: Arity::AtLeast(1),
    interspersed: false,
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

/// Runs what flags and words name.
pub(crate) async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut spec = read(s, m, "run")?;
    let client = s.client()?;
    let detach = m.on("detach");
    if detach {
        if m.changed("attach") {
            let why = "conflicting options: cannot specify both --attach and --detach";
            return Err(Failure::text(1, why));
        }
        spec.stdin = false;
        spec.stdout = false;
        spec.stderr = false;
        for key in ["AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"] {
            spec.body[key] = false.into();
        }
    } else if spec.tty && spec.stdin && !terminal::stdin_is() {
        return Err(Failure::text(1, "the input device is not a TTY"));
    }
    let (keys_text, keys) =
        s.detach_keys(m.text("detach-keys")).map_err(|e| Failure::text(125, e.to_string()))?;
    let id = create(s, m, &spec).await.map_err(|f| start_failure(s, f))?;
    let proxy = (m.on("sig-proxy") && !detach).then(|| signals::forward(client.clone(), id.clone()));

    let attach = spec.stdin || spec.stdout || spec.stderr;
    if !attach {
        if let Err(err) = client.container_start(&id, Query::new()).await {
            return Err(start_failure(s, err.into()));
        }
        print::line(&id);
        return Ok(());
    }
    let query = Query::new()
        .flag("stream", true)
        .flag("stdin", spec.stdin)
        .flag("stdout", spec.stdout)
        .flag("stderr", spec.stderr)
        .with_some("detachKeys", keys_text);
    let hijacked = client.container_attach(&id, query).await?;
    let condition = if spec.auto_remove { "removed" } else { "next-exit" };
    let wait = client.container_wait(&id, condition).await?;
    if let Err(err) = client.container_start(&id, Query::new()).await {
        if spec.auto_remove {
            // The engine removes it; leave when that is done, so that the name is free again. Its code is ours.
            let _ = wait.wait_result().await;
        }
        return Err(start_failure(s, err.into()));
    }
    let resizer = (spec.tty && terminal::stdout_is()).then(|| resize(client.clone(), id.clone()));
    let attached = Attached { stdin: spec.stdin, stdout: spec.stdout, stderr: spec.stderr, tty: spec.tty };
    let code = finish(stream(hijacked, attached, keys), wait.wait_result()).await?;
    drop(resizer);
    drop(proxy);
    match code {
        0 => Ok(()),
        code => Err(Failure::silent(code as u8)),
    }
}

/// Waits for the output's end and the exit, whatever comes first; a detached one ends at once with 0.
pub(crate) async fn finish(
    output: impl Future<Output = Result<Ended, Failure>>,
    exit: impl Future<Output = Result<(i64, Option<String>), gantry_client::ClientError>>,
) -> Result<i64, Failure> {
    tokio::pin!(output);
    tokio::pin!(exit);
    let (code, complaint) = tokio::select! {
        biased;
        ended = &mut output => match ended? {
            Ended::Detached => return Ok(0),
            Ended::Output => exit.await?,
        },
        exited = &mut exit => {
            let exited = exited?;
            // What it printed last is still on the way.
            output.await?;
            exited
        }
    };
    match complaint {
        Some(why) => {
            print::err(&format!("Error waiting for container: {why}"));
            Ok(125)
        }
        None => Ok(code),
    }
}

fn resize(client: Client, id: String) -> Resizer {
    Resizer::start(move |rows, columns| {
        let (client, id) = (client.clone(), id.clone());
        async move { client.container_resize(&id, rows, columns).await }
    })
}

/// The exit code of a container that did not start: 127 when its program is not there, 126 when it may not be
/// executed, 125 otherwise.
pub fn start_failure(s: &Session, failure: Failure) -> Failure {
    let text = failure.to_string();
    let mut told = with_hint(s, "run", &text);
    let has = |needles: &[&str]| needles.iter().any(|n| text.contains(n));
    if let Failure::Text { code, .. } = &mut told {
        if has(&[
            "executable file not found",
            "no such file or directory",
            "system cannot find the file specified",
        ]) {
            *code = 127;
        } else if has(&["permission denied", "is a directory"]) {
            *code = 126;
        }
    }
    told
}
