//! `image inspect`.

use gantry_client::Query;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::inspect::{self, Kind};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, text};
use crate::parse::platform;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("format", "Format of the output: 'json' or a Go template").short('f'),
    text("platform", "Inspect this platform (os[/arch[/variant]])"),
];

pub static INSPECT: Command = Command {
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    short: "Display detailed information on one or more images",
    examples: &[("-f '{{json .Config.Env}}' app:1", "One thing of it, as JSON")],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    if !m.changed("platform") {
        return inspect::inspect(s, &[Kind::Image], &m.words, m.text("format"), false).await;
    }
    let json = platform::to_json(m.text("platform"))?;
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for name in &m.words {
        match s.client()?.image_inspect(name, Query::new().with("platform", json.clone())).await {
            Ok(value) => found.push(value),
            Err(err) => failed.push(err.to_string()),
        }
    }
    inspect::show(&found, m.text("format"))?;
    Failure::all(failed)
}
