//! `compose volumes`.

use gantry_compose::labels;
use serde_json::Value;

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::format::{Fields, Format, Listing};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template")
        .default("table"),
    switch("quiet", "Only names").short('q'),
];

pub static VOLUMES: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "List volumes",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Running", &m.words).await?;
    let mounted = |name: &str| {
        let used = observed.containers.iter().filter(|c| m.words.contains(&c.service));
        m.words.is_empty() || used.flat_map(|c| &c.mounts).any(|mount| mount.name == name)
    };
    let format = Format::choose(
        m.text("format"),
        "",
        m.on("quiet").then_some("{{.Name}}"),
        "table {{.Driver}}\\t{{.Name}}",
    );
    let mut listing = Listing::new(format, &row(&Value::Null))?;
    for volume in &observed.volumes {
        let ours = volume.labels.get(labels::PROJECT) == Some(&ground.project.name);
        if ours && mounted(&volume.name) {
            listing.add(row(&volume.summary))?;
        }
    }
    print::out(&listing.finish());
    Ok(())
}

fn row(v: &Value) -> Fields {
    let text = |key: &str| v[key].as_str().unwrap_or_default().to_owned();
    Fields::new("*formatter.VolumeContext")
        .with("Availability", "AVAILABILITY", "N/A")
        .with("Driver", "DRIVER", text("Driver"))
        .with("Group", "GROUP", "N/A")
        .labels(&v["Labels"])
        .with("Links", "LINKS", "N/A")
        .with("Mountpoint", "MOUNTPOINT", text("Mountpoint"))
        .with("Name", "VOLUME NAME", text("Name"))
        .with("Scope", "SCOPE", text("Scope"))
        .with("Size", "SIZE", "N/A")
        .with("Status", "STATUS", "N/A")
}
