//! `compose rollback`: back to what was applied before.

use gantry_compose::plan::Options;
use gantry_compose::{images, names, start};

use super::ground::{self, Ground};
use super::prepare::Wish;
use super::up::{self, Making};
use super::{DRY_RUN, applied};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("list", "Show what there is to go back to"),
    flag("timeout", Kind::Int, "Patience of stops in seconds").short('t'),
];

pub static ROLLBACK: Command = Command {
    usage: "[OPTIONS] [STEPS]",
    short: "Return to an earlier applied state of the project",
    examples: &[("--list", "What there is to go back to"), ("1", "To what was before the last up")],
    long: "Return to an earlier applied state of the project: its files as they were read and its images as they\nwere, STEPS (1) before the one that `up` applied last.",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtMost(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    // The file may be what is wrong now: its name is enough.
    let name = match s.compose().given("project-name") {
        Some(name) => name.to_lowercase(),
        None => ground::load(s, &[])?.name,
    };
    let states = applied::list(&name);
    if m.on("list") {
        for (back, state) in states.iter().rev().enumerate() {
            let services: Vec<&str> = state.images.keys().map(String::as_str).collect();
            print::line(&format!("{back:>3}  {}  {}", state.at, services.join(" ")));
        }
        return Ok(());
    }
    let steps: usize = match m.words.first() {
        None => 1,
        Some(word) => word.parse().map_err(|_| format!("{word:?} is no number of steps"))?,
    };
    let at = states.len().checked_sub(steps + 1);
    let Some(state) = at.and_then(|at| states.get(at)) else {
        let told = format!("project {name:?} has {} earlier states", states.len().saturating_sub(1));
        return Err(Failure::text(1, told));
    };
    let mut ground = Ground::of(s, m, "Running", state.project(&name)?)?;
    pin(&mut ground, state).await?;
    let options = Options { timeout: m.changed("timeout").then(|| m.int("timeout")), ..Options::default() };
    let making = Making { options, starts: Some(start::Options::default()), ..Making::default() };
    up::make(&ground, &Wish { pull: "never", no_build: true, ..Wish::default() }, &making).await?;
    if !ground.dry_run() {
        for newer in &states[states.len() - steps..] {
            newer.forget()?;
        }
    }
    Ok(())
}

/// Images whose name means another one by now are named by their id.
async fn pin(ground: &mut Ground<'_>, state: &applied::Applied) -> Outcome {
    let wanted = images::names(&ground.project, ground.separator());
    let now = images::facts(ground.client, &wanted).await?;
    let project = ground.project.name.clone();
    let separator = ground.separator();
    for service in ground.project.services.values_mut() {
        let image = names::image(&project, service, separator);
        let Some(then) = state.images.get(&service.name) else { continue };
        if now.get(&image).is_none_or(|facts| facts.id != *then) {
            service.image.clone_from(then);
        }
    }
    Ok(())
}
