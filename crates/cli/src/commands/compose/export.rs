//! `compose export`.

use super::DRY_RUN;
use super::delegate::{delegate, option, pick};
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::commands::container;
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    flag("index", Kind::Int, "Which of the service's containers"),
    text("output", "File to write to").short('o'),
];

pub static EXPORT: Command = Command {
    usage: "[OPTIONS] SERVICE",
    short: "Export a service container's filesystem as a tar archive",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::Exactly(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, _) = Ground::find(s, m, "Exporting", &m.words).await?;
    let container = pick(&ground, m.word(0), m.int("index"), true, false).await?;
    let mut args = Vec::new();
    option(&mut args, "output", m.text("output"));
    args.push(container.id);
    delegate(s, &container::export::EXPORT, args).await
}
