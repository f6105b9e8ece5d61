//! `compose exec`: a terminal and our input unless that is refused.

use super::DRY_RUN;
use super::delegate::{delegate, option, pick, switch as on};
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::commands::container;
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, list, switch, text};
use crate::session::Session;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("detach", "Run in the background").short('d'),
    list("env", "Set an environment variable").short('e'),
    flag("index", Kind::Int, "Which of the service's containers"),
    switch("interactive", "Keep STDIN open").short('i').default("true").hidden(),
    switch("no-tty", "Without a terminal").short('T'),
    switch("no-TTY", "Older spelling of --no-tty").hidden(),
    switch("privileged", "Give all privileges"),
    switch("tty", "With a terminal").short('t').default("true").hidden(),
    text("user", "User to run as").short('u'),
    text("workdir", "Working folder inside the container").short('w'),
];

pub static EXEC: Command = Command {
    usage: "[OPTIONS] SERVICE COMMAND [ARGS...]",
    short: "Execute a command in a running container",
    examples: &[("web sh", "A shell in the service's container")],
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(2),
    interspersed: false,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, _) = Ground::find(s, m, "Running", &m.words[..1]).await?;
    let container = pick(&ground, m.word(0), m.int("index"), false, true).await?;
    let detach = m.on("detach");
    let tty = match m.on("no-tty") || m.on("no-TTY") {
        true => false,
        // By default one is made where there is one to connect it to.
        false => m.on("tty") && terminal::stdout_is() && terminal::stdin_is(),
    };
    let mut args = Vec::new();
    on(&mut args, "detach", detach);
    on(&mut args, "interactive", m.on("interactive") && !detach);
    on(&mut args, "tty", tty);
    on(&mut args, "privileged", m.on("privileged"));
    option(&mut args, "user", m.text("user"));
    option(&mut args, "workdir", m.text("workdir"));
    args.extend(m.all("env").iter().map(|pair| format!("--env={pair}")));
    args.push(container.id);
    args.extend(m.words[1..].iter().cloned());
    delegate(s, &container::exec::EXEC, args).await
}
