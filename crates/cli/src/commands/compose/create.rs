//! `compose create`: everything of `up` but starting.

use gantry_compose::plan::{Options, Recreate};

use super::DRY_RUN;
use super::ground::Ground;
use super::prepare::Wish;
use super::up::{self, Making};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::session::Session;
use crate::work;

pub static CREATE: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Creates containers for a service",
    flags: &[up::MAKING, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    for (one, other) in [("build", "no-build"), ("force-recreate", "no-recreate")] {
        if m.on(one) && m.on(other) {
            return Err(Failure::text(1, format!("--{one} and --{other} are incompatible")));
        }
    }
    let mut ground = Ground::load(s, m, "Creating", &m.words)?;
    up::scale(&mut ground.project, &m.all("scale"))?;
    let recreate = match () {
        () if m.on("no-recreate") => Recreate::Never,
        () if m.on("force-recreate") => Recreate::Force,
        () => Recreate::Diverged,
    };
    let options = Options {
        services: m.words.clone(),
        recreate,
        recreate_dependencies: if m.on("no-recreate") { Recreate::Never } else { Recreate::Diverged },
        remove_orphans: up::remove_orphans(m),
        ..Options::default()
    };
    let wish = Wish {
        pull: m.text("pull"),
        build: m.on("build"),
        no_build: m.on("no-build"),
        quiet_pull: m.on("quiet-pull"),
        quiet_build: false,
    };
    let making = Making { options, yes: m.on("yes") || m.on("y"), ..Making::default() };
    up::make(&ground, &wish, &making).await.map(drop)
}
