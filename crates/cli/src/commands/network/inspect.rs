//! `network inspect`.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::inspect::{Kind, inspect};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("format", "Format of the output: 'json' or a Go template").short('f'),
    switch("verbose", "Also what a cluster runs on it").short('v'),
];

pub static INSPECT: Command = Command {
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    short: "Display detailed information on one or more networks",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Networks,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let kind = if m.on("verbose") { Kind::NetworkVerbose } else { Kind::Network };
    inspect(s, &[kind], &m.words, m.text("format"), false).await
}
