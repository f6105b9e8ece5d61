//! `unpause`.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::each;
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::session::Session;
use crate::work;

pub static UNPAUSE: Command = Command {
    usage: "CONTAINER [CONTAINER...]",
    short: "Unpause all processes within one or more containers",
    aliases: &["container unpause", "unpause"],
    arity: Arity::AtLeast(1),
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    each(&m.words, |name| async move {
        client.container_verb(&name, "unpause").await?;
        Ok(name)
    })
    .await
}
