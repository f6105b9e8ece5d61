//! `compose stop`.

use gantry_compose::stop;

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag};
use crate::session::Session;
use crate::work;

pub(super) static FLAGS: &[Flag] = &[flag("timeout", Kind::Int, "Patience in seconds").short('t')];

pub static STOP: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Stop services",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Stopping", &m.words).await?;
    let timeout = m.changed("timeout").then(|| m.int("timeout"));
    // Named services stop alone; what they depend on goes on.
    Ok(stop::stop(&ground.scene(), &observed.containers, &m.words, timeout).await?)
}
