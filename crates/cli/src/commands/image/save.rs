//! `save`.

use gantry_client::Query;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::save_to;
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, text};
use crate::parse::platform;
use crate::session::Session;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[
    text("output", "Write to a file instead of STDOUT").short('o'),
    flag("platform", Kind::Strings, "Save only these platforms (os[/arch[/variant]])"),
];

pub static SAVE: Command = Command {
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    short: "Save one or more images to a tar archive (streamed to STDOUT by default)",
    examples: &[(
        "-o app.tar app:1 db:7",
        "Two images in one archive; layers that they share are in it once",
    )],
    aliases: &["image save", "save"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let output = m.text("output");
    if output.is_empty() && terminal::stdout_is() {
        return Err("cowardly refusing to save to a terminal. Use the -o flag or redirect".into());
    }
    let mut query = Query::new();
    for name in &m.words {
        query = query.with("names", name.as_str());
    }
    for text in m.all("platform") {
        query = query.with("platform", platform::to_json(&text)?);
    }
    let stream = s.client()?.image_save(query).await?;
    save_to(stream, output, "failed to save image").await
}
