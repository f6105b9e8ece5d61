//! `export`: a container's filesystem as a tar.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::save_to;
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, text};
use crate::session::Session;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[text("output", "Write to a file instead of STDOUT").short('o')];

pub static EXPORT: Command = Command {
    usage: "[OPTIONS] CONTAINER",
    short: "Export a container's filesystem as a tar archive",
    examples: &[("-o root.tar web", "All its files as one tar")],
    aliases: &["container export", "export"],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let output = m.text("output");
    if output.is_empty() && terminal::stdout_is() {
        return Err("cowardly refusing to save to a terminal. Use the -o flag or redirect".into());
    }
    let stream = s.client()?.container_export(m.word(0)).await?;
    save_to(stream, output, "failed to export container").await
}
