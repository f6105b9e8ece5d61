//! `compose logs`.

use gantry_compose::logs::{Options, Printer, logs};
use gantry_compose::{Container, Failed};
use jiff::Timestamp;

use super::DRY_RUN;
use super::ground::{Ground, ansi};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::parse::time;
use crate::session::Session;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("follow", "Wait for more").short('f'),
    flag("index", Kind::Int, "Which of the service's containers"),
    switch("no-color", "Without colours"),
    switch("no-log-prefix", "Without names before lines"),
    text("since", "From this time on (\"2026-01-02T13:23:37Z\") or this long ago (\"42m\")"),
    text("tail", "How many lines of the end of each").short('n').default("all"),
    switch("timestamps", "Show times").short('t'),
    text("until", "Up to this time or this long ago"),
];

pub static LOGS: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "View output from containers",
    examples: &[("-f --tail 20 web", "The last lines, and what comes")],
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let index = u32::try_from(m.int("index")).unwrap_or(0);
    if index > 0 && m.words.len() != 1 {
        return Err(Failure::text(1, "--index requires one service to be selected"));
    }
    let (ground, observed) = Ground::find(s, m, "Running", &m.words).await?;
    let project = &ground.project;
    let shown = |c: &&Container| {
        let service = project.services.get(&c.service);
        let chosen = match m.words.is_empty() {
            true => service.is_some_and(|s| s.attach.unwrap_or(true)),
            false => m.words.contains(&c.service),
        };
        chosen && !c.is_one_off() && (index == 0 || c.number == index)
    };
    let containers: Vec<Container> = observed.containers.iter().filter(shown).cloned().collect();
    if index > 0 && containers.is_empty() {
        return Err(Failed::NotRunningNumber(m.word(0).to_owned(), index).into());
    }
    let now = Timestamp::now();
    let at = |name: &str| {
        time::to_query(m.text(name), now).map_err(|why| format!("invalid value for {name:?}: {why}"))
    };
    let options = Options {
        follow: m.on("follow"),
        tail: m.text("tail").to_owned(),
        since: at("since")?,
        until: at("until")?,
        timestamps: m.on("timestamps"),
    };
    let color = ansi(s) && !m.on("no-color");
    let printer = Printer::new(color, !m.on("no-log-prefix"), false, terminal::stdout_is());
    Ok(logs(&ground.scene(), &containers, &options, &printer).await?)
}
