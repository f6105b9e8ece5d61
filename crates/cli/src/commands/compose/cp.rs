//! `compose cp`: into all containers of a service, out of the first.

use gantry_compose::Failed;

use super::DRY_RUN;
use super::delegate::{delegate, pick, switch as on};
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::container;
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Containers that `run` made, too"),
    switch("archive", "Keep owners and groups").short('a'),
    switch("follow-link", "Copy what a link in SRC_PATH leads to").short('L'),
    flag("index", Kind::Int, "Which of the service's containers"),
];

pub static CP: Command = Command {
    usage: "[OPTIONS] SERVICE:SRC_PATH DEST_PATH|-",
    short: "Copy files/folders between a service container and the local filesystem",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::Exactly(2),
    names: Names::Files,
    work: work!(run),
    ..COMMAND
};

/// `service:path`; a path that begins with a dot or a slash is one of this machine.
fn split(word: &str) -> Option<(&str, &str)> {
    match word.split_once(':') {
        Some((service, path)) if !word.starts_with(['/', '.']) => Some((service, path)),
        _ => None,
    }
}

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut flags = Vec::new();
    on(&mut flags, "archive", m.on("archive"));
    on(&mut flags, "follow-link", m.on("follow-link"));
    match (split(m.word(0)), split(m.word(1))) {
        (Some(_), Some(_)) => Err("copying between services is not supported".into()),
        (None, None) => Err("unknown copy direction".into()),
        (Some((service, path)), None) => {
            let (ground, _) = Ground::find(s, m, "Copying", &[service.to_owned()]).await?;
            let from = pick(&ground, service, m.int("index"), true, m.on("all")).await?;
            flags.extend([format!("{}:{path}", from.name), m.word(1).to_owned()]);
            delegate(s, &container::cp::CP, flags).await
        }
        (None, Some((service, path))) => {
            let (ground, observed) = Ground::find(s, m, "Copying", &[service.to_owned()]).await?;
            let index = m.int("index");
            let targets: Vec<_> = match index {
                0 => observed.containers.into_iter().filter(|c| c.service == service).collect(),
                _ => vec![pick(&ground, service, index, true, m.on("all")).await?],
            };
            let mut some = false;
            for target in targets.iter().filter(|c| m.on("all") || !c.is_one_off()) {
                let mut args = flags.clone();
                args.extend([m.word(0).to_owned(), format!("{}:{path}", target.name)]);
                delegate(s, &container::cp::CP, args).await?;
                some = true;
            }
            if some { Ok(()) } else { Err(Failed::NotRunning(service.to_owned()).into()) }
        }
    }
}
