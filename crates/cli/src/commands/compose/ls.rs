//! `compose ls`: the projects of an engine.

use std::collections::BTreeMap;

use gantry_client::Query;
use gantry_compose::{Container, labels};
use serde_json::json;

use super::DRY_RUN;
use crate::command::{COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::format::aligned;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Show stopped projects, too").short('a'),
    flag("filter", Kind::Filter, "Only what fits (name=...)"),
    text("format", "table or json").default("table"),
    switch("quiet", "Only names").short('q'),
];

pub static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List running compose projects",
    flags: &[FLAGS, DRY_RUN],
    work: work!(run),
    ..COMMAND
};

#[derive(Default)]
struct Row {
    states: BTreeMap<&'static str, usize>,
    files: Vec<String>,
}

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut wanted: Vec<String> = Vec::new();
    for filter in m.all("filter") {
        match filter.split_once('=') {
            Some(("name", name)) => wanted.push(name.to_owned()),
            _ => return Err(Failure::text(1, format!("invalid filter '{filter}'"))),
        }
    }
    let filters = json!({"label": [labels::PROJECT, labels::CONFIG_HASH]});
    let query = Query::new().flag("all", m.on("all")).with("filters", filters.to_string());
    let mut projects: BTreeMap<String, Row> = BTreeMap::new();
    for summary in s.client()?.container_list(query).await? {
        let container = Container::from_summary(summary);
        let name = container.label(labels::PROJECT).to_owned();
        if !wanted.is_empty() && !wanted.iter().any(|w| name.contains(w)) {
            continue;
        }
        let row = projects.entry(name).or_default();
        *row.states.entry(container.state.as_str()).or_default() += 1;
        for file in container.label(labels::CONFIG_FILES).split(',') {
            if !row.files.iter().any(|f| f == file) {
                row.files.push(file.to_owned());
            }
        }
    }
    if m.on("quiet") {
        projects.keys().for_each(|name| print::line(name));
        return Ok(());
    }
    let status = |row: &Row| {
        let all: Vec<String> = row.states.iter().map(|(state, n)| format!("{state}({n})")).collect();
        all.join(", ")
    };
    match m.text("format") {
        "json" => {
            let all: Vec<_> = projects
                .iter()
                .map(|(name, row)| json!({"Name": name, "Status": status(row), "ConfigFiles": row.files.join(",")}))
                .collect();
            print::line(&json!(all).to_string());
        }
        "table" | "pretty" | "" => {
            let mut text = "NAME\tSTATUS\tCONFIG FILES".to_owned();
            for (name, row) in &projects {
                text.push_str(&format!("\n{name}\t{}\t{}", status(row), row.files.join(",")));
            }
            print::line(&aligned(&text, 20, 3));
        }
        other => {
            return Err(Failure::text(
                1,
                format!("format value {other:?} could not be parsed: format not supported"),
            ));
        }
    }
    Ok(())
}
