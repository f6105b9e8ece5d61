//! `docs`: the reference as files.

use std::path::Path;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print;
use crate::reference::{self, Kind};
use crate::session::Session;
use crate::work;

pub static DOCS: Command = Command {
    usage: "man|markdown FOLDER",
    short: "Write a page for every command, for man or as Markdown",
    examples: &[("man /usr/local/share/man/man1", "A page for every command")],
    arity: Arity::Exactly(2),
    names: Names::Files,
    work: work!(run),
    ..COMMAND
};

async fn run(_: &Session, m: &Matches) -> Outcome {
    let kind = match m.word(0) {
        "man" => Kind::Man,
        "markdown" => Kind::Markdown,
        other => return Err(format!("unknown kind {other:?}: man and markdown are known").into()),
    };
    let folder = m.word(1);
    let written = reference::write(kind, Path::new(folder))
        .map_err(|error| Failure::text(1, format!("{folder}: {}", crate::terminal::io_text(&error))))?;
    print::line(&format!("{written} pages in {folder}"));
    Ok(())
}
