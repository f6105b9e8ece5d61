//! `load`.

use gantry_client::{Body, Query};

use super::progress;
use crate::command::{COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::parse::platform;
use crate::session::Session;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[
    text("input", "Read from a file instead of STDIN").short('i'),
    flag("platform", Kind::Strings, "Load only these platforms (os[/arch[/variant]])"),
    switch("quiet", "Only the result").short('q'),
];

pub static LOAD: Command = Command {
    usage: "[OPTIONS]",
    short: "Load an image from a tar archive or STDIN",
    examples: &[("-i app.tar", "All images of an archive, of any age, packed or not")],
    aliases: &["image load", "load"],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let body = match m.text("input") {
        "" if terminal::stdin_is() => {
            return Err("requested load from stdin, but stdin is empty".into());
        }
        "" => Body::reader(tokio::io::stdin()),
        path => match tokio::fs::File::open(path).await {
            Ok(file) => Body::reader(file),
            Err(err) => return Err(format!("open {path}: {}", terminal::io_text(&err)).into()),
        },
    };
    let quiet = m.on("quiet") || !terminal::stdout_is();
    let mut query = Query::new().with("quiet", if quiet { "1" } else { "0" });
    for text in m.all("platform") {
        query = query.with("platform", platform::to_json(&text)?);
    }
    let stream = s.client()?.image_load(query, body).await?;
    progress::show(stream.json(), progress::Out::Stdout).await.map(drop)
}
