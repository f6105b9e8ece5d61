//! `compose restart`.

use gantry_compose::stop;

use super::ground::Ground;
use super::{DRY_RUN, stop as stop_command};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[switch("no-deps", "Do not restart services that asked to restart along")];

pub static RESTART: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Restart service containers",
    flags: &[FLAGS, stop_command::FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Restarting", &[]).await?;
    if let Some(name) = m.words.iter().find(|name| !ground.project.services.contains_key(*name)) {
        return Err(format!("no such service: {name}").into());
    }
    let timeout = m.changed("timeout").then(|| m.int("timeout"));
    let deps = !m.on("no-deps") && !m.words.is_empty();
    Ok(stop::restart(&ground.scene(), &observed.containers, &m.words, deps, timeout).await?)
}
