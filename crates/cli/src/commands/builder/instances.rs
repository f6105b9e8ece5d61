//! Builders by name, as buildx has them: here the engine is the one there is, and what would need another is refused in
//! a sentence that says who has it.

use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, list, switch, text};
use crate::print;
use crate::session::Session;
use crate::work;

/// The name of the one builder.
pub const DEFAULT: &str = "default";

static CREATE_FLAGS: &[Flag] = &[
    switch("append", "Add a node to a builder"),
    switch("bootstrap", "Start it at once"),
    text("buildkitd-config", "BuildKit's settings"),
    text("buildkitd-flags", "BuildKit's flags"),
    text("driver", "docker-container, kubernetes or remote"),
    list("driver-opt", "Options of the driver"),
    switch("leave", "Take a node away"),
    text("name", "The builder's name"),
    text("node", "The node's name"),
    list("platform", "Platforms of the node"),
    switch("use", "Use it from now on"),
];

pub static CREATE: Command = Command {
    usage: "[OPTIONS] [CONTEXT|ENDPOINT]",
    short: "Refused: the engine is the one builder",
    flags: &[CREATE_FLAGS],
    arity: Arity::AtMost(1),
    work: work!(elsewhere),
    ..COMMAND
};

static BAKE_FLAGS: &[Flag] = &[
    list("file", "Build definition").short('f'),
    list("set", "Override a target's value"),
    switch("load", "Into the image store"),
    switch("no-cache", "Without the cache"),
    switch("print", "Only show what would be built"),
    text("progress", "How to show progress"),
    switch("pull", "Always ask the registry"),
    switch("push", "Push the images"),
];

pub static BAKE: Command = Command {
    usage: "[OPTIONS] [TARGET...]",
    short: "Refused: a compose file's images are built by gantry compose build",
    flags: &[BAKE_FLAGS],
    arity: Arity::AtLeast(0),
    work: work!(bake),
    ..COMMAND
};

static USE_FLAGS: &[Flag] =
    &[switch("default", "For this engine alone"), switch("global", "For every engine")];

pub static USE: Command = Command {
    usage: "[OPTIONS] NAME",
    short: "Choose a builder",
    flags: &[USE_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(choose),
    ..COMMAND
};

static RM_FLAGS: &[Flag] = &[
    switch("all-inactive", "All that do not run"),
    switch("force", "Do not ask").short('f'),
    switch("keep-daemon", "Leave its process"),
    switch("keep-state", "Leave its cache"),
];

pub static RM: Command = Command {
    usage: "[OPTIONS] [NAME...]",
    short: "Remove builders",
    flags: &[RM_FLAGS],
    arity: Arity::AtLeast(0),
    work: work!(remove),
    ..COMMAND
};

pub static VERSION: Command = Command { short: "Show the version", work: work!(version), ..COMMAND };

/// Whether `name` is the one builder, or none was named.
pub fn known(name: &str) -> Outcome {
    match name {
        "" | DEFAULT => Ok(()),
        other => Err(Failure::text(1, format!("ERROR: no builder {other:?} found"))),
    }
}

async fn elsewhere(_: &Session, _: &Matches) -> Outcome {
    Err("ERROR: the engine is the one builder here; containers, clusters and remotes as builders need Docker's buildx plugin".into())
}

async fn bake(_: &Session, _: &Matches) -> Outcome {
    Err("ERROR: bake needs Docker's buildx plugin; a compose file's images are built by gantry compose build"
        .into())
}

async fn choose(_: &Session, m: &Matches) -> Outcome {
    known(m.word(0))
}

async fn remove(_: &Session, m: &Matches) -> Outcome {
    m.words.iter().try_for_each(|name| known(name))?;
    match m.words.is_empty() {
        true => Ok(()),
        false => Err("ERROR: context builder cannot be removed".into()),
    }
}

async fn version(_: &Session, _: &Matches) -> Outcome {
    print::line(concat!("gantry buildx ", env!("CARGO_PKG_VERSION")));
    Ok(())
}
