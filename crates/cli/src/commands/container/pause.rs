//! `pause`.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::each;
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::session::Session;
use crate::work;

pub static PAUSE: Command = Command {
    usage: "CONTAINER [CONTAINER...]",
    short: "Pause all processes within one or more containers",
    aliases: &["container pause", "pause"],
    arity: Arity::AtLeast(1),
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    each(&m.words, |name| async move {
        client.container_verb(&name, "pause").await?;
        Ok(name)
    })
    .await
}
