//! `volume ls`.

use gantry_client::Query;
use serde_json::Value;

use crate::command::{COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::format::{Fields, Format, Listing};
use crate::parse::{filters, size};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("cluster", "Only cluster volumes"),
    flag("filter", Kind::Filter, "Only what fits (\"dangling=true\")").short('f'),
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("quiet", "Only names").short('q'),
];

pub static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List volumes",
    examples: &[("-q --filter dangling=true", "Names of those that no container uses")],
    aliases: &["volume ls", "volume list"],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let query = Query::new().with_some("filters", filters::encode(&m.all("filter")));
    let answer = s.client()?.volume_list(query).await?;
    let mut volumes = answer["Volumes"].as_array().cloned().unwrap_or_default();
    if m.on("cluster") {
        volumes.retain(|v| !v["ClusterVolume"].is_null());
    }
    volumes.sort_by_key(|v| v["Name"].as_str().unwrap_or_default().to_owned());
    let format = Format::choose(
        m.text("format"),
        s.config().text("volumesFormat"),
        m.on("quiet").then_some("{{.Name}}"),
        "table {{.Driver}}\\t{{.Name}}",
    );
    let mut listing = Listing::new(format, &row(&Value::Null))?;
    for volume in &volumes {
        listing.add(row(volume))?;
    }
    print::out(&listing.finish());
    Ok(())
}

pub fn row(volume: &Value) -> Fields {
    let word = |key: &str| volume[key].as_str().unwrap_or_default();
    let usage = &volume["UsageData"];
    let bytes = usage["Size"].as_f64();
    Fields::new("*formatter.volumeContext")
        .with("Availability", "AVAILABILITY", "N/A")
        .with("Driver", "DRIVER", word("Driver"))
        .with("Group", "GROUP", "N/A")
        .labels(&volume["Labels"])
        .with(
            "Links",
            "LINKS",
            usage["RefCount"].as_i64().map_or_else(|| "N/A".to_owned(), |n| n.to_string()),
        )
        .with("Mountpoint", "MOUNTPOINT", word("Mountpoint"))
        .with("Name", "VOLUME NAME", word("Name"))
        .with("Scope", "SCOPE", word("Scope"))
        .with("Size", "SIZE", bytes.filter(|b| *b >= 0.0).map_or_else(|| "N/A".to_owned(), size::human))
        .with("Status", "STATUS", "N/A")
}
