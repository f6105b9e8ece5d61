//! `top`: the processes of a container.

use serde_json::Value;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::format;
use crate::print;
use crate::session::Session;
use crate::terminal::to_stdout;
use crate::work;

pub static TOP: Command = Command {
    usage: "CONTAINER [ps OPTIONS]",
    short: "Display the running processes of a container",
    aliases: &["container top", "top"],
    arity: Arity::AtLeast(1),
    interspersed: false,
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

/// Lists the processes.
pub async fn run(s: &Session, m: &Matches) -> Outcome {
    let answer = s.client()?.container_top(m.word(0), &m.words[1..].join(" ")).await?;
    let line = |row: &Value| -> String {
        // A process names itself.
        let cells = row.as_array().into_iter().flatten().map(|c| to_stdout(c.as_str().unwrap_or_default()));
        cells.collect::<Vec<_>>().join("\t") + "\n"
    };
    let mut text = line(&answer["Titles"]);
    for process in answer["Processes"].as_array().into_iter().flatten() {
        text.push_str(&line(process));
    }
    print::out(&format::aligned(&text, 20, 3));
    Ok(())
}
