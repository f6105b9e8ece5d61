//! `secret`: small secret files of a cluster.

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
    path: "secrets",
    context: "*secret.secretContext",
    table: "table {{.ID}}\\t{{.Name}}\\t{{.Driver}}\\t{{.CreatedAt}}\\t{{.UpdatedAt}}",
};

pub static SECRET: Command = Command {
    short: "Manage Swarm secrets",
    below: &[
        entry(&["create"], &CREATE),
        entry(&["inspect"], &INSPECT),
        entry(&["ls", "list"], &LS),
        entry(&["rm", "remove"], &RM),
    ],
    ..COMMAND
};

static CREATE_FLAGS: &[Flag] = &[
    text("driver", "Driver of the secret").short('d'),
    list("label", "Set a label").short('l').check(env::validate_label),
    text("template-driver", "Template driver"),
];

static CREATE: Command = Command {
    usage: "[OPTIONS] SECRET [file|-]",
    short: "Create a secret from a file or STDIN",
    flags: &[CREATE_FLAGS],
    arity: Arity::Between(1, 2),
    work: work!(create),
    ..COMMAND
};

static INSPECT: Command = Command {
    usage: "[OPTIONS] SECRET [SECRET...]",
    short: "Display detailed information on one or more secrets",
    flags: &[objects::INSPECT],
    arity: Arity::AtLeast(1),
    work: work!(inspect_all),
    ..COMMAND
};

static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List secrets",
    aliases: &["secret ls", "secret list"],
    flags: &[objects::LS],
    work: work!(ls),
    ..COMMAND
};

static RM: Command = Command {
    usage: "SECRET [SECRET...]",
    short: "Remove one or more secrets",
    aliases: &["secret rm", "secret remove"],
    arity: Arity::AtLeast(1),
    work: work!(rm),
    ..COMMAND
};

async fn create(s: &Session, m: &Matches) -> Outcome {
    PAYLOAD.create(s, m).await
}

async fn inspect_all(s: &Session, m: &Matches) -> Outcome {
    inspect(s, &[Kind::Object("secrets", "secret")], &m.words, m.text("format"), false).await
}

async fn ls(s: &Session, m: &Matches) -> Outcome {
    PAYLOAD.list(s, m).await
}

async fn rm(s: &Session, m: &Matches) -> Outcome {
    objects::remove(s, m, "secrets").await
}
