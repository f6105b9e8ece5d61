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
    each(s, m, "pause").await
}

async fn unpause(s: &Session, m: &Matches) -> Outcome {
    each(s, m, "unpause").await
}

/// Of all that are up, whichever of the two they are: the engine refuses what is so already, and that is told.
async fn each(s: &Session, m: &Matches, verb: &'static str) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Running", &m.words).await?;
    let wanted = |c: &&Container| {
        matches!(c.state, State::Running | State::Paused)
            && !c.is_one_off()
            && ground.project.service(&c.service).is_some()
            && (m.words.is_empty() || m.words.contains(&c.service))
    };
    let containers: Vec<Container> = observed.containers.iter().filter(wanted).cloned().collect();
    Ok(stop::pause(&ground.scene(), &containers, verb).await?)
}
