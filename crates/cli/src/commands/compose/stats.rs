//! `compose stats`.

use super::DRY_RUN;
use super::delegate::{delegate, option, switch as on};
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::commands::container;
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Show stopped ones too").short('a'),
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("no-stream", "Show one measurement and end"),
    switch("no-trunc", "Do not cut anything"),
];

pub static STATS: Command = Command {
    usage: "[OPTIONS] [SERVICE]",
    short: "Display a live stream of container(s) resource usage statistics",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (_, observed) = Ground::find(s, m, "Running", &m.words).await?;
    let wanted = observed
        .containers
        .iter()
        .filter(|c| (m.on("all") || c.is_running()) && (m.words.is_empty() || m.words.contains(&c.service)));
    let names: Vec<String> = wanted.map(|c| c.name.clone()).collect();
    // Without names it would show everybody's.
    if names.is_empty() {
        return Ok(());
    }
    let mut args = Vec::new();
    on(&mut args, "no-stream", m.on("no-stream"));
    on(&mut args, "no-trunc", m.on("no-trunc"));
    option(&mut args, "format", m.text("format"));
    args.extend(names);
    delegate(s, &container::stats::STATS, args).await
}
