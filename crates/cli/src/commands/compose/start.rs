//! `compose start`.

use gantry_compose::start;

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("wait", "Come back when all is running or healthy"),
    flag("wait-timeout", Kind::Int, "How long --wait may take, in seconds"),
];

pub static START: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Start services",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Running", &m.words).await?;
    let wait_timeout = u64::try_from(m.int("wait-timeout")).ok().filter(|t| *t > 0);
    let options = start::Options { wait: m.on("wait"), wait_timeout };
    Ok(start::start(&ground.scene(), &observed.containers, options).await?)
}
