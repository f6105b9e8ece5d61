//! `compose ps`, in today's table and in Compose 1's.

use gantry_compose::{Container, State};
use serde_json::{Value, json};

use super::DRY_RUN;
use super::ground::{Ground, compatible};
use crate::command::{Arity, COMMAND, Command};
use crate::commands::container::ls::quote;
use crate::commands::container::published;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, list, switch, text};
use crate::format::{Fields, Format, Listing, ellipsis, short_id};
use crate::parse::time;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Show stopped ones too, and those that `run` made").short('a'),
    text("filter", "Only what fits (status=...)"),
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template")
        .default("table"),
    switch("no-trunc", "Do not cut anything"),
    switch("orphans", "Containers of services that are not in the file, too").default("true"),
    switch("quiet", "Only ids").short('q'),
    switch("services", "Only services"),
    list("status", "Only in this state (running, exited, ...)"),
];

pub static PS: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "List containers",
    examples: &[("-a --format json", "For a script")],
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

const TABLE: &str =
    "table {{.Name}}\\t{{.Image}}\\t{{.Command}}\\t{{.Service}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}";

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut states = m.all("status");
    match m.text("filter").split_once('=') {
        Some(("status", state)) => states.push(state.to_owned()),
        Some((other, _)) => return Err(Failure::text(1, format!("unknown filter {other}"))),
        None if m.text("filter").is_empty() => {}
        None => return Err(Failure::text(1, "arguments to --filter should be in form KEY=VAL")),
    }
    let (ground, observed) = Ground::find(s, m, "Running", &[]).await?;
    let project = &ground.project;
    if let Some(missing) = m.words.iter().find(|name| project.service(name).is_none()) {
        return Err(format!("no such service: {missing}").into());
    }
    let old = compatible(s);
    let all = m.on("all") || !states.is_empty() || old;
    let wanted = |c: &&Container| {
        let known = m.on("orphans") || project.services.contains_key(&c.service);
        let chosen = if m.words.is_empty() { known } else { m.words.contains(&c.service) };
        let state = states.is_empty() || states.iter().any(|state| state == c.state.as_str());
        // What `run` made counts while it runs, and with --all.
        let alive = matches!(c.state, State::Running | State::Paused | State::Restarting);
        chosen && state && (alive || all) && (m.on("all") || !c.is_one_off() || !old)
    };
    let containers: Vec<&Container> = observed.containers.iter().filter(wanted).collect();
    if m.on("quiet") {
        containers.iter().for_each(|c| print::line(&c.id));
        return Ok(());
    }
    if m.on("services") {
        let mut services: Vec<&str> = containers.iter().map(|c| c.service.as_str()).collect();
        services.dedup();
        print::line(&services.join("\n"));
        return Ok(());
    }
    if old && matches!(m.text("format"), "" | "table") {
        print::out(&first_table(&containers));
        return Ok(());
    }
    let format = Format::choose(m.text("format"), s.config().text("psFormat"), None, TABLE);
    let trunc = !m.on("no-trunc");
    let none = Container::from_summary(Value::Null);
    let mut listing = Listing::new(format, &row(&none, trunc))?;
    for container in containers {
        listing.add(row(container, trunc))?;
    }
    print::out(&listing.finish());
    Ok(())
}

fn row(c: &Container, trunc: bool) -> Fields {
    let text = |key: &str| c.summary[key].as_str().unwrap_or_default().to_owned();
    let command = if trunc { ellipsis(&text("Command"), 20) } else { text("Command") };
    let status = text("Status");
    let health = ["healthy", "unhealthy", "starting"]
        .into_iter()
        .find(|word| status.contains(&format!("({word})")) || status.contains(&format!("health: {word}")));
    let code = status.strip_prefix("Exited (").and_then(|rest| rest.split(')').next());
    let code = code.and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
    let ports = c.summary["Ports"].as_array().cloned().unwrap_or_default();
    let publishers: Vec<Value> = ports
        .iter()
        .map(|p| {
            json!({
                "URL": p["IP"].as_str().unwrap_or_default(),
                "TargetPort": p["PrivatePort"].as_u64().unwrap_or(0),
                "PublishedPort": p["PublicPort"].as_u64().unwrap_or(0),
                "Protocol": p["Type"].as_str().unwrap_or_default(),
            })
        })
        .collect();
    let mounts: Vec<String> = c
        .mounts
        .iter()
        .map(|mount| {
            let name = if mount.name.is_empty() { &mount.source } else { &mount.name };
            if trunc { ellipsis(name, 15) } else { name.clone() }
        })
        .collect();
    let networks: Vec<&str> = c.networks.keys().map(String::as_str).collect();
    Fields::new("*formatter.ContainerContext")
        .with("Command", "COMMAND", quote(&command))
        .with("CreatedAt", "CREATED AT", time::go_string(c.created))
        .with("ExitCode", "EXIT CODE", code)
        .with("Health", "HEALTH", health.unwrap_or_default())
        .with("ID", "CONTAINER ID", if trunc { short_id(&c.id) } else { c.id.clone() })
        .with("Image", "IMAGE", text("Image"))
        .labels(&c.summary["Labels"])
        .with(
            "LocalVolumes",
            "LOCAL VOLUMES",
            c.mounts.iter().filter(|m| m.kind == "volume").count().to_string(),
        )
        .with("Mounts", "MOUNTS", mounts.join(","))
        .with("Name", "NAME", c.name.clone())
        .with("Names", "NAMES", c.name.clone())
        .with("Networks", "NETWORKS", networks.join(","))
        .with("Ports", "PORTS", published::display(&c.summary["Ports"]))
        .with("Project", "PROJECT", c.label(gantry_compose::labels::PROJECT))
        .with("Publishers", "PUBLISHERS", publishers)
        .with("RunningFor", "CREATED", time::ago(c.created))
        .with("Service", "SERVICE", c.service.clone())
        .with("Size", "SIZE", "0B")
        .with("State", "STATE", c.state.as_str())
        .with("Status", "STATUS", status)
}

/// The table of Compose 1 and fig: columns as wide as their widest cell, a line below the titles.
fn first_table(containers: &[&Container]) -> String {
    let mut rows = vec![["Name", "Command", "State", "Ports"].map(str::to_owned)];
    for c in containers {
        let state = match c.state {
            State::Running => "Up".to_owned(),
            State::Paused => "Paused".to_owned(),
            State::Restarting => "Restarting".to_owned(),
            State::Created => "Created".to_owned(),
            _ => {
                let status = c.summary["Status"].as_str().unwrap_or_default();
                let code = status.strip_prefix("Exited (").and_then(|rest| rest.split(')').next());
                format!("Exit {}", code.unwrap_or("0"))
            }
        };
        let health = c.summary["Status"].as_str().unwrap_or_default();
        let state = match health.split_once(" (") {
            Some((_, rest)) if state == "Up" => format!("Up ({rest}"),
            _ => state,
        };
        let command = ellipsis(c.summary["Command"].as_str().unwrap_or_default(), 30).replace('…', " ...");
        rows.push([
            c.name.clone(),
            command,
            state,
            published::display(&c.summary["Ports"]).replace(", ", ","),
        ]);
    }
    let mut widths = [0; 4];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| match at {
                // Titles stand in the middle of their columns.
                0 => format!("{cell:^width$}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        out.push_str(cells.join("   ").trim_end());
        out.push('\n');
        if at == 0 {
            out.push_str(&"-".repeat(widths.iter().sum::<usize>() + 9));
            out.push('\n');
        }
    }
    out
}
