//! `volume inspect`.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::inspect::{Kind, inspect};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[text("format", "Format of the output: 'json' or a Go template").short('f')];

pub static INSPECT: Command = Command {
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    short: "Display detailed information on one or more volumes",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Volumes,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    inspect(s, &[Kind::Volume], &m.words, m.text("format"), false).await
}
