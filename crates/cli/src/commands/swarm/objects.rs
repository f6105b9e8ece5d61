//! What the cluster's nouns share: list, inspect, remove.

use gantry_client::Query;
use serde_json::Value;

use crate::commands::each;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::format::{Fields, Format, Listing};
use crate::parse::filters;
use crate::print;
use crate::session::Session;

pub static LS: &[Flag] = &[
    flag("filter", Kind::Filter, "Only what fits").short('f'),
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("quiet", "Only ids").short('q'),
];

pub static INSPECT: &[Flag] = &[
    text("format", "Format of the output: 'json' or a Go template").short('f'),
    switch("pretty", "For people"),
];

pub static TASKS: &[Flag] = &[
    flag("filter", Kind::Filter, "Only what fits").short('f'),
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("no-resolve", "Ids instead of names"),
    switch("no-trunc", "Do not cut anything"),
    switch("quiet", "Only ids").short('q'),
];

/// Lists the noun's things as rows of a table.
pub async fn list(
    s: &Session,
    m: &Matches,
    noun: &str,
    table: &str,
    row: impl Fn(&Value) -> Fields,
) -> Outcome {
    let query = Query::new().with_some("filters", filters::encode(&m.all("filter")));
    let found = s.client()?.objects(noun, query).await?;
    show(m, &found, table, row)
}

/// Shows things as rows.
pub fn show(m: &Matches, found: &[Value], table: &str, row: impl Fn(&Value) -> Fields) -> Outcome {
    let quiet = m.has("quiet") && m.on("quiet");
    let format = Format::choose(m.text("format"), "", quiet.then_some("{{.ID}}"), table);
    let mut listing = Listing::new(format, &row(&Value::Null))?;
    for thing in found {
        listing.add(row(thing))?;
    }
    print::out(&listing.finish());
    Ok(())
}

/// Removes things by name.
pub async fn remove(s: &Session, m: &Matches, noun: &str) -> Outcome {
    let client = s.client()?;
    let force = m.has("force") && m.on("force");
    each(&m.words, |name| async move {
        client.object_remove(noun, &name, force).await?;
        Ok(name)
    })
    .await
}

/// The tasks that `wanted` chooses, as rows.
pub async fn tasks(s: &Session, m: &Matches, name: &str, values: &[String]) -> Outcome {
    let mut wanted = filters::to_map(&m.all("filter"));
    for value in values {
        filters::add(&mut wanted, name, value);
    }
    let found =
        s.client()?.objects("tasks", Query::new().with_some("filters", filters::encode_map(&wanted))).await?;
    if found.is_empty() && !m.on("quiet") {
        return Err(Failure::text(1, format!("nothing found in {name}: {}", values.join(", "))));
    }
    show(
        m,
        &found,
        "table {{.ID}}\\t{{.Name}}\\t{{.Image}}\\t{{.Node}}\\t{{.DesiredState}}\\t{{.CurrentState}}\\t{{.Error}}\\t{{.Ports}}",
        task,
    )
}

fn task(t: &Value) -> Fields {
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let name = match t["Slot"].as_i64().unwrap_or(0) {
        0 => format!("{}.{}", word(&t["ServiceID"]), word(&t["NodeID"])),
        slot => format!("{}.{slot}", word(&t["ServiceID"])),
    };
    Fields::new("*task.taskContext")
        .with("CurrentState", "CURRENT STATE", word(&t["Status"]["State"]))
        .with("DesiredState", "DESIRED STATE", word(&t["DesiredState"]))
        .with("Error", "ERROR", word(&t["Status"]["Err"]))
        .with("ID", "ID", word(&t["ID"]).chars().take(12).collect::<String>())
        .with("Image", "IMAGE", word(&t["Spec"]["ContainerSpec"]["Image"]))
        .with("Name", "NAME", name)
        .with("Node", "NODE", word(&t["NodeID"]))
        .with("Ports", "PORTS", "")
}
