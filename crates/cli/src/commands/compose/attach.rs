//! `compose attach`.

use super::DRY_RUN;
use super::delegate::{delegate, option, pick};
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::commands::container;
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("detach-keys", "Keys that leave the container running"),
    flag("index", Kind::Int, "Which of the service's containers"),
    switch("no-stdin", "Do not send input"),
    switch("sig-proxy", "Pass signals on to the process").default("true"),
];

pub static ATTACH: Command = Command {
    usage: "[OPTIONS] SERVICE",
    short: "Attach local standard input, output, and error streams to a service's running container",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::Exactly(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, _) = Ground::find(s, m, "Running", &m.words).await?;
    let container = pick(&ground, m.word(0), m.int("index"), false, false).await?;
    let mut args =
        vec![format!("--no-stdin={}", m.on("no-stdin")), format!("--sig-proxy={}", m.on("sig-proxy"))];
    option(&mut args, "detach-keys", m.text("detach-keys"));
    args.push(container.id);
    delegate(s, &container::attach::ATTACH, args).await
}
