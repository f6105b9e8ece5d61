//! `kill`.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::each;
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[text("signal", "Signal to send").short('s')];

pub static KILL: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    short: "Kill one or more running containers",
    examples: &[("-s HUP web", "A signal, not the end")],
    aliases: &["container kill", "kill"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    each(&m.words, |name| async move {
        client.container_kill(&name, m.text("signal")).await?;
        Ok(name)
    })
    .await
}
