//! `compose kill`.

use gantry_compose::{Container, State, stop};

use super::ground::Ground;
use super::{DRY_RUN, up};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("remove-orphans", "Kill containers of services that are not in the file, too"),
    text("signal", "Signal to send").short('s').default("SIGKILL"),
];

pub static KILL: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Force stop service containers",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Killing", &m.words).await?;
    let wanted = |c: &&Container| {
        let chosen = m.words.is_empty() || m.words.contains(&c.service);
        matches!(c.state, State::Running | State::Paused)
            && chosen
            && (up::remove_orphans(m) || ground.project.service(&c.service).is_some())
    };
    let containers: Vec<Container> = observed.containers.iter().filter(wanted).cloned().collect();
    if containers.is_empty() {
        print::err("no container to kill\n");
        return Ok(());
    }
    Ok(stop::kill(&ground.scene(), &containers, m.text("signal")).await?)
}
