//! `wait`: the exit codes of containers, when they are there.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print;
use crate::session::Session;
use crate::work;

pub static WAIT: Command = Command {
    usage: "CONTAINER [CONTAINER...]",
    short: "Block until one or more containers stop, then print their exit codes",
    examples: &[("job", "Its exit code, when it has one")],
    aliases: &["container wait", "wait"],
    arity: Arity::AtLeast(1),
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    let mut failed = Vec::new();
    for name in &m.words {
        let result = match client.container_wait(name, "").await {
            Ok(wait) => wait.wait_result().await,
            Err(err) => Err(err),
        };
        match result {
            Ok((code, None)) => print::line(&code.to_string()),
            Ok((_, Some(why))) => failed.push(why),
            Err(err) => failed.push(err.to_string()),
        }
    }
    Failure::all(failed)
}
