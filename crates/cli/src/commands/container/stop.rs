//! `stop`.

use super::timeout::{FLAGS, ask};
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::session::Session;
use crate::work;

pub static STOP: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    short: "Stop one or more running containers",
    examples: &[("-t 30 web", "Half a minute to end by itself")],
    aliases: &["container stop", "stop"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    ask(s, m, "stop").await
}
