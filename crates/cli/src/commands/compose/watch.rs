//! `compose watch`.

use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::session::Session;
use crate::work;

use super::DRY_RUN;
use super::ground::Ground;

static FLAGS: &[Flag] = &[
    switch("no-up", "Do not build and start first"),
    switch("prune", "Remove images that a rebuild left without a name").default("true"),
    switch("quiet", "Build without output"),
];

pub static WATCH: Command = Command {
    usage: "[SERVICE...]",
    short: "Watch build context for service and rebuild/refresh containers when files are updated",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

/// How to watch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Build without output.
    pub quiet: bool,
}

async fn run(s: &Session, m: &Matches) -> Outcome {
    let ground = Ground::load(s, m, "Watching", &m.words)?;
    watch(&ground, &Options { quiet: m.on("quiet") }).await
}

/// Watches until it is ended.
pub async fn watch(_: &Ground<'_>, _: &Options) -> Outcome {
    Err(Failure::text(
        1,
        "none of the selected services is configured for watch, consider setting a 'develop' section",
    ))
}
