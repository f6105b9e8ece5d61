//! `diff`: what a container changed in its filesystem.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, text};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[text("format", "Format of the output").hidden()];

pub static DIFF: Command = Command {
    usage: "CONTAINER",
    short: "Inspect changes to files or directories on a container's filesystem",
    examples: &[("web", "A, C, D: added, changed, deleted")],
    aliases: &["container diff", "diff"],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let changes = s.client()?.container_changes(m.word(0)).await?;
    for change in changes.as_array().into_iter().flatten() {
        let kind = match change["Kind"].as_i64() {
            Some(0) => "C",
            Some(1) => "A",
            Some(2) => "D",
            _ => "",
        };
        print::line(&format!("{kind} {}", change["Path"].as_str().unwrap_or_default()));
    }
    Ok(())
}
