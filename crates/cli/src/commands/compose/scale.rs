//! `compose scale web=3`.

use gantry_compose::plan::Options;
use gantry_compose::start;

use super::DRY_RUN;
use super::ground::Ground;
use super::prepare::Wish;
use super::up::{self, Making};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("no-deps", "Leave dependencies alone"),
    flag("timeout", Kind::Int, "Patience of stops in seconds").short('t').hidden(),
];

pub static SCALE: Command = Command {
    usage: "[SERVICE=REPLICAS...]",
    short: "Scale services",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut services = Vec::new();
    for word in &m.words {
        match word.split_once('=') {
            Some((name, number)) if !name.is_empty() && !number.is_empty() => {
                if number.parse::<u32>().is_err() {
                    let told = format!("invalid scale specifier: can't parse replica value as int: {word}");
                    return Err(Failure::text(1, told));
                }
                services.push(name.to_owned());
            }
            _ => return Err(Failure::text(1, format!("invalid scale specifier: {word}"))),
        }
    }
    let mut ground = Ground::load(s, m, "Running", &services)?;
    if m.on("no-deps") {
        up::without_dependencies(&mut ground.project, &services);
    }
    up::scale(&mut ground.project, &m.words)?;
    let options =
        Options { services, timeout: m.changed("timeout").then(|| m.int("timeout")), ..Options::default() };
    let making = Making { options, starts: Some(start::Options::default()), ..Making::default() };
    up::make(&ground, &Wish::default(), &making).await.map(drop)
}
