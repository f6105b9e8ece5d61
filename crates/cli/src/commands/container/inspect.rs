//! `container inspect`.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::inspect::{Kind, inspect};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("format", "Format of the output: 'json' or a Go template").short('f'),
    switch("size", "Show total file sizes").short('s'),
];

pub static INSPECT: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    short: "Display detailed information on one or more containers",
    examples: &[("-f '{{.State.Status}} {{.NetworkSettings.IPAddress}}' web", "Two things of it")],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    inspect(s, &[Kind::Container], &m.words, m.text("format"), m.on("size")).await
}
