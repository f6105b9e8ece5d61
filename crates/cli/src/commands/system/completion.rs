//! `completion`.

use crate::command::{Arity, COMMAND, Command};
use crate::completion::script;
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::print;
use crate::session::Session;
use crate::work;

pub static COMPLETION: Command = Command {
    usage: "bash|zsh|fish",
    short: "Print a script that completes commands and names for a shell",
    examples: &[("bash", "To be sourced: source <(gantry completion bash)")],
    arity: Arity::Exactly(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    print::out(&script(m.word(0), &s.program)?);
    Ok(())
}
