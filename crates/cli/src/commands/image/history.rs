//! `history`.

use gantry_client::Query;
use serde_json::Value;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::format::{Fields, Format, Listing, ellipsis, short_id};
use crate::parse::{platform, size, time};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("human", "Print sizes and dates for people").short('H').default("true"),
    switch("no-trunc", "Do not cut anything"),
    text("platform", "History of this platform (os[/arch[/variant]])"),
    switch("quiet", "Only ids").short('q'),
];

pub static HISTORY: Command = Command {
    usage: "[OPTIONS] IMAGE",
    short: "Show the history of an image",
    examples: &[("--no-trunc app:1", "Every instruction, whole")],
    aliases: &["image history", "history"],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut query = Query::new();
    if m.changed("platform") {
        let json = platform::to_json(m.text("platform")).map_err(|e| format!("invalid platform: {e}"))?;
        query = query.with("platform", json);
    }
    let layers = s.client()?.image_history(m.word(0), query).await?;
    let human = m.on("human");
    let table = match human {
        true => {
            "table {{.ID}}\\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}"
        }
        false => "table {{.ID}}\\t{{.CreatedAt}}\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}",
    };
    let format = Format::choose(m.text("format"), "", m.on("quiet").then_some("{{.ID}}"), table);
    let trunc = !m.on("no-trunc");
    let mut listing = Listing::new(format, &row(&Value::Null, trunc, human))?;
    for layer in &layers {
        listing.add(row(layer, trunc, human))?;
    }
    print::out(&listing.finish());
    Ok(())
}

fn row(layer: &Value, trunc: bool, human: bool) -> Fields {
    let word = |key: &str| layer[key].as_str().unwrap_or_default();
    let id = word("Id");
    let created = layer["Created"].as_i64().unwrap_or(0);
    let by = word("CreatedBy").replace('\t', " ");
    let bytes = layer["Size"].as_f64().unwrap_or(0.0);
    Fields::new("*image.historyContext")
        .with("Comment", "COMMENT", word("Comment"))
        .with("CreatedAt", "CREATED AT", if created <= 0 { String::new() } else { zulu(created) })
        .with("CreatedBy", "CREATED BY", if trunc { ellipsis(&by, 45) } else { by })
        .with(
            "CreatedSince",
            "CREATED",
            match (human, created) {
                (_, ..=0) => "N/A".to_owned(),
                (true, at) => time::ago(at),
                (false, at) => zulu(at),
            },
        )
        .with("ID", "IMAGE", if trunc { short_id(id) } else { id.to_owned() })
        .with("Size", "SIZE", if human { size::human_precise(bytes, 3) } else { (bytes as i64).to_string() })
}

fn zulu(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(at) => time::rfc3339_nano(at, false),
        Err(_) => String::new(),
    }
}
