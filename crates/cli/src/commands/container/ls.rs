//! `ps`.

use gantry_client::Query;
use serde_json::Value;

use crate::command::{COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::format::{Fields, Format, Listing, ellipsis, short_id};
use crate::parse::{filters, size, time};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Show stopped ones too (default shows just running)").short('a'),
    flag("filter", Kind::Filter, "Only what fits").short('f'),
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    flag("last", Kind::Int, "Show the n newest, in any state").short('n').default("-1"),
    switch("latest", "Show the newest, in any state").short('l'),
    switch("no-trunc", "Do not cut anything"),
    switch("quiet", "Only ids").short('q'),
    switch("size", "Show file sizes").short('s'),
];

pub static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List containers",
    examples: &[
        ("-a", "Stopped ones too"),
        ("-q --filter label=stage=test --filter status=running", "Ids of what fits, for another command"),
        ("--format 'table {{.Names}}\\t{{.Status}}\\t{{.Ports}}'", "Columns of your choice"),
    ],
    aliases: &["container ls", "container list", "container ps", "ps"],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

const TABLE: &str =
    "table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}";

async fn run(s: &Session, m: &Matches) -> Outcome {
    let asked = m.text("format");
    let configured = s.config().text("psFormat");
    if m.on("quiet") && !asked.is_empty() {
        print::err("WARNING: Ignoring custom format, because both --format and --quiet are set.");
    }
    let table = if m.on("size") { format!("{TABLE}\\t{{{{.Size}}}}") } else { TABLE.to_owned() };
    let quiet = m.on("quiet").then_some("{{.ID}}");
    let format = match quiet {
        Some(quiet) => Format::new(quiet),
        None => Format::choose(asked, configured, None, &table),
    };
    if quiet.is_none() && !m.on("size") {
        format.rehearse(row(&Value::Null, true))?;
    }
    let limit = if m.on("latest") && m.int("last") == -1 { 1 } else { m.int("last") };
    let with_size = m.on("size") || (quiet.is_none() && format.mentions("Size"));
    let mut query = Query::new().flag("all", m.on("all"));
    if limit > 0 {
        query = query.with("limit", limit.to_string());
    }
    query = query.flag("size", with_size).with_some("filters", filters::encode(&m.all("filter")));
    let containers = s.client()?.container_list(query).await?;
    let trunc = !m.on("no-trunc");
    let mut listing = Listing::new(format, &row(&Value::Null, trunc))?;
    for container in &containers {
        listing.add(row(container, trunc))?;
    }
    print::out(&listing.finish());
    Ok(())
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn row(c: &Value, trunc: bool) -> Fields {
    let id = text_of(c, "Id");
    let created = c["Created"].as_i64().unwrap_or(0);
    let command = text_of(c, "Command");
    let command = if trunc { ellipsis(command, 20) } else { command.to_owned() };
    let mounts: Vec<String> = c["Mounts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|mount| {
            let name = match text_of(mount, "Name") {
                "" => text_of(mount, "Source"),
                name => name,
            };
            if trunc { ellipsis(name, 15) } else { name.to_owned() }
        })
        .collect();
    let local =
        c["Mounts"].as_array().into_iter().flatten().filter(|m| text_of(m, "Driver") == "local").count();
    let networks: Vec<&str> = c["NetworkSettings"]["Networks"]
        .as_object()
        .map(|n| n.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let (rw, root) = (c["SizeRw"].as_f64().unwrap_or(0.0), c["SizeRootFs"].as_f64().unwrap_or(0.0));
    let mut sizes = size::human_precise(rw, 3);
    if root > 0.0 {
        sizes = format!("{sizes} (virtual {})", size::human_precise(root, 3));
    }
    Fields::new("*formatter.ContainerContext")
        .with("Command", "COMMAND", quote(&command))
        .with("CreatedAt", "CREATED AT", time::go_string(created))
        .with("ID", "CONTAINER ID", if trunc { short_id(id) } else { id.to_owned() })
        .with("Image", "IMAGE", image(c, trunc))
        .labels(&c["Labels"])
        .with("LocalVolumes", "LOCAL VOLUMES", local.to_string())
        .with("Mounts", "MOUNTS", mounts.join(","))
        .with("Names", "NAMES", names(c, trunc))
        .with("Networks", "NETWORKS", networks.join(","))
        .with("Platform", "PLATFORM", Value::Null)
        .with("Ports", "PORTS", super::published::display(&c["Ports"]))
        .with("RunningFor", "CREATED", time::ago(created))
        .with("Size", "SIZE", sizes)
        .with("State", "STATE", text_of(c, "State"))
        .with("Status", "STATUS", text_of(c, "Status"))
}

fn names(c: &Value, trunc: bool) -> String {
    let all = c["Names"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let all = all.map(|n| n.strip_prefix('/').unwrap_or(n));
    match trunc {
        // `web/db` is the name of a link, not of the container.
        true => all.filter(|n| !n.contains('/')).collect::<Vec<_>>().join(","),
        false => all.collect::<Vec<_>>().join(","),
    }
}

fn image(c: &Value, trunc: bool) -> String {
    let (image, id) = (text_of(c, "Image"), text_of(c, "ImageID"));
    if image.is_empty() {
        return "<no image>".into();
    }
    if !trunc {
        return image.to_owned();
    }
    if !id.is_empty() && short_id(id) == short_id(image) {
        return short_id(id);
    }
    // A digest behind a tag says nothing more to a person.
    match image.split_once('@') {
        Some((name, _)) if name.rsplit('/').next().is_some_and(|last| last.contains(':')) => name.to_owned(),
        _ => image.to_owned(),
    }
}

/// A quoted text as Go's `strconv.Quote`.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
