//! `compose pause` and `unpause`.

use gantry_compose::{Container, State, stop};

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::session::Session;
use crate::work;

pub static PAUSE: Command = Command {
    usage: "[SERVICE...]",
    short: "Pause services",
    flags: &[DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(pause),
    ..COMMAND
};

pub static UNPAUSE: Command = Command {
    usage: "[SERVICE...]",
    short: "Unpause services",
    flags: &[DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(unpause),
    ..COMMAND
};

async fn pause(s: &Session, m: &Matches) -> Outcome {
    each(s, m, State::Running, "pause").await
}

async fn unpause(s: &Session, m: &Matches) -> Outcome {
    each(s, m, State::Paused, "unpause").await
}

async fn each(s: &Session, m: &Matches, state: State, verb: &'static str) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Running", &m.words).await?;
    let wanted = |c: &&Container| {
        c.state == state && !c.is_one_off() && (m.words.is_empty() || m.words.contains(&c.service))
    };
    let containers: Vec<Container> = observed.containers.iter().filter(wanted).cloned().collect();
    Ok(stop::pause(&ground.scene(), &containers, verb).await?)
}
