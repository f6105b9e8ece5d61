//! `rename`.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::session::Session;
use crate::work;

pub static RENAME: Command = Command {
    usage: "CONTAINER NEW_NAME",
    short: "Rename a container",
    aliases: &["container rename", "rename"],
    arity: Arity::Exactly(2),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (old, new) = (m.word(0).trim(), m.word(1).trim());
    if old.is_empty() || new.is_empty() {
        return Err("Error: Neither old nor new names may be empty".into());
    }
    if let Err(err) = s.client()?.container_rename(old, new).await {
        crate::print::err(&err.to_string());
        return Err(Failure::text(1, format!("Error: failed to rename container named {old}")));
    }
    Ok(())
}
