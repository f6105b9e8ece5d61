//! `context ls`.

use crate::command::{COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::format::{Fields, Format, Listing};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("quiet", "Only names").short('q'),
];

pub static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List contexts",
    aliases: &["context ls", "context list"],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let format = Format::choose(
        m.text("format"),
        "",
        m.on("quiet").then_some("{{.Name}}"),
        "table {{.Name}}{{if .Current}} *{{end}}\\t{{.Description}}\\t{{.DockerEndpoint}}\\t{{.Error}}",
    );
    let current = s.context_name();
    let row = |name: &str, description: &str, host: &str, error: &str| {
        Fields::new("*formatter.clientContextContext")
            .with("Current", "", name == current && !name.is_empty())
            .with("Description", "DESCRIPTION", description)
            .with("DockerEndpoint", "DOCKER ENDPOINT", host)
            .with("Error", "ERROR", error)
            .with("Name", "NAME", name)
    };
    let mut all: Vec<(String, String, String, String)> =
        s.contexts().list().into_iter().map(|c| (c.name, c.description, c.host, String::new())).collect();
    let default = "Current DOCKER_HOST based configuration";
    all.push(("default".into(), default.into(), s.default_host(), String::new()));
    if !all.iter().any(|(name, ..)| *name == current) {
        let why = s.contexts().get(&current).err().unwrap_or_default();
        all.push((current.clone(), String::new(), String::new(), why));
    }
    all.sort();
    let mut listing = Listing::new(format, &row("", "", "", ""))?;
    for (name, description, host, error) in &all {
        listing.add(row(name, description, host, error))?;
    }
    print::out(&listing.finish());
    if s.host_is_given() {
        print::err(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the global --context flag, or unset DOCKER_HOST environment variable.",
        );
    }
    Ok(())
}
