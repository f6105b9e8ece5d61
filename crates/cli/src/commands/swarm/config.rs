//! `config`: small plain files of a cluster.

use super::objects;
use super::payload::Payload;
use crate::command::{Arity, COMMAND, Command, entry};
use crate::commands::inspect::{Kind, inspect};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, list, text};
use crate::parse::env;
use crate::session::Session;
use crate::work;

static PAYLOAD: Payload = Payload {
    path: "configs",
    context: "*config.configContext",
    table: "table {{.ID}}\\t{{.Name}}\\t{{.CreatedAt}}\\t{{.UpdatedAt}}",
};

pub static CONFIG: Command = Command {
    short: "Manage Swarm configs",
    below: &[
        entry(&["create"], &CREATE),
        entry(&["inspect"], &INSPECT),
        entry(&["ls", "list"], &LS),
        entry(&["rm", "remove"], &RM),
    ],
    ..COMMAND
};

static CREATE_FLAGS: &[Flag] = &[
    list("label", "Set a label").short('l').check(env::validate_label),
    text("template-driver", "Template driver"),
];

static CREATE: Command = Command {
    usage: "[OPTIONS] CONFIG file|-",
    short: "Create a config from a file or STDIN",
    flags: &[CREATE_FLAGS],
    arity: Arity::Exactly(2),
    work: work!(create),
    ..COMMAND
};

static INSPECT: Command = Command {
    usage: "[OPTIONS] CONFIG [CONFIG...]",
    short: "Display detailed information on one or more configs",
    flags: &[objects::INSPECT],
    arity: Arity::AtLeast(1),
    work: work!(inspect_all),
    ..COMMAND
};

static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List configs",
    aliases: &["config ls", "config list"],
    flags: &[objects::LS],
    work: work!(ls),
    ..COMMAND
};

static RM: Command = Command {
    usage: "CONFIG [CONFIG...]",
    short: "Remove one or more configs",
    aliases: &["config rm", "config remove"],
    arity: Arity::AtLeast(1),
    work: work!(rm),
    ..COMMAND
};

async fn create(s: &Session, m: &Matches) -> Outcome {
    PAYLOAD.create(s, m).await
}

async fn inspect_all(s: &Session, m: &Matches) -> Outcome {
    inspect(s, &[Kind::Object("configs", "config")], &m.words, m.text("format"), false).await
}

async fn ls(s: &Session, m: &Matches) -> Outcome {
    PAYLOAD.list(s, m).await
}

async fn rm(s: &Session, m: &Matches) -> Outcome {
    objects::remove(s, m, "configs").await
}
