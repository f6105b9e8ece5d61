//! `search`.

use gantry_client::Query;
use serde_json::Value;

use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::format::{Fields, Format, Listing, ellipsis};
use crate::parse::filters;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    flag("filter", Kind::Filter, "Only what fits").short('f'),
    text("format", "Format of the output: a Go template"),
    flag("limit", Kind::Int, "The most results"),
    switch("no-trunc", "Do not cut anything"),
];

pub static SEARCH: Command = Command {
    usage: "[OPTIONS] TERM",
    short: "Search Docker Hub for images",
    examples: &[("--filter is-official=true --limit 5 debian", "Official ones only")],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut query = Query::new().with("term", m.word(0));
    if m.changed("limit") {
        query = query.with("limit", m.int("limit").to_string());
    }
    query = query.with_some("filters", filters::encode(&m.all("filter")));
    let registry = match m.word(0).split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => m.word(0).to_owned(),
        _ => "docker.io/library/x".to_owned(),
    };
    let auth = s.registry_auth(&registry);
    let results = s.client()?.image_search(query, Some(auth)).await?;
    let format = Format::choose(
        m.text("format"),
        "",
        None,
        "table {{.Name}}\\t{{.Description}}\\t{{.StarCount}}\\t{{.IsOfficial}}",
    );
    let trunc = !m.on("no-trunc");
    let mut listing = Listing::new(format, &row(&Value::Null, trunc))?;
    for result in &results {
        listing.add(row(result, trunc))?;
    }
    print::out(&listing.finish());
    Ok(())
}

fn row(result: &Value, trunc: bool) -> Fields {
    let description = result["description"].as_str().unwrap_or_default().replace(['\n', '\r'], " ");
    let mark = |key: &str| if result[key] == true { "[OK]" } else { "" };
    Fields::new("*registry.searchContext")
        .with("Description", "DESCRIPTION", if trunc { ellipsis(&description, 45) } else { description })
        .with("IsAutomated", "AUTOMATED", mark("is_automated"))
        .with("IsOfficial", "OFFICIAL", mark("is_official"))
        .with("Name", "NAME", result["name"].as_str().unwrap_or_default())
        .with("StarCount", "STARS", result["star_count"].as_i64().unwrap_or(0).to_string())
}
