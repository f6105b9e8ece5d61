//! `compose commit`.

use super::DRY_RUN;
use super::delegate::{delegate, option, pick};
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::commands::container;
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, list, switch, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("author", "Author of the image").short('a'),
    list("change", "Dockerfile instruction for the image").short('c'),
    flag("index", Kind::Int, "Which of the service's containers"),
    text("message", "Message").short('m'),
    switch("pause", "Pause the container meanwhile").short('p').default("true"),
];

pub static COMMIT: Command = Command {
    usage: "[OPTIONS] SERVICE [REPOSITORY[:TAG]]",
    short: "Create a new image from a service container's changes",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::Between(1, 2),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, _) = Ground::find(s, m, "Committing", &m.words[..1]).await?;
    let container = pick(&ground, m.word(0), m.int("index"), true, false).await?;
    let mut args = vec![format!("--pause={}", m.on("pause"))];
    option(&mut args, "author", m.text("author"));
    option(&mut args, "message", m.text("message"));
    args.extend(m.all("change").iter().map(|change| format!("--change={change}")));
    args.push(container.id);
    args.extend(m.words.get(1).cloned());
    delegate(s, &container::commit::COMMIT, args).await
}
