//! `checkpoint`: the frozen state of a running container.

use gantry_client::Query;
use serde_json::json;

use crate::command::{Arity, COMMAND, Command, Names, entry};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::format::align;
use crate::print;
use crate::session::Session;
use crate::work;

pub static CHECKPOINT: Command = Command {
    short: "Manage checkpoints",
    below: &[entry(&["create"], &CREATE), entry(&["ls", "list"], &LS), entry(&["rm", "remove"], &RM)],
    ..COMMAND
};

static DIR: &[Flag] = &[text("checkpoint-dir", "Folder of checkpoints")];
static RUNNING: &[Flag] = &[switch("leave-running", "Let the container run on")];

static CREATE: Command = Command {
    usage: "[OPTIONS] CONTAINER CHECKPOINT",
    short: "Create a checkpoint from a running container",
    flags: &[DIR, RUNNING],
    arity: Arity::Exactly(2),
    names: Names::Running,
    work: work!(create),
    ..COMMAND
};

static LS: Command = Command {
    usage: "[OPTIONS] CONTAINER",
    short: "List checkpoints for a container",
    aliases: &["checkpoint ls", "checkpoint list"],
    flags: &[DIR],
    arity: Arity::Exactly(1),
    names: Names::Containers,
    work: work!(ls),
    ..COMMAND
};

static RM: Command = Command {
    usage: "[OPTIONS] CONTAINER CHECKPOINT",
    short: "Remove a checkpoint",
    aliases: &["checkpoint rm", "checkpoint remove"],
    flags: &[DIR],
    arity: Arity::Exactly(2),
    names: Names::Containers,
    work: work!(rm),
    ..COMMAND
};

async fn create(s: &Session, m: &Matches) -> Outcome {
    let body = json!({
        "CheckpointID": m.word(1), "CheckpointDir": m.text("checkpoint-dir"), "Exit": !m.on("leave-running"),
    });
    s.client()?.post(format!("/containers/{}/checkpoints", m.word(0))).json_body(&body).done().await?;
    print::line(m.word(1));
    Ok(())
}

async fn ls(s: &Session, m: &Matches) -> Outcome {
    let found = s.client()?.checkpoint_list(m.word(0), m.text("checkpoint-dir")).await?;
    let mut text = String::from("CHECKPOINT NAME\n");
    for checkpoint in found.as_array().into_iter().flatten() {
        text.push_str(&format!("{}\n", checkpoint["Name"].as_str().unwrap_or_default()));
    }
    print::out(&align(&text));
    Ok(())
}

async fn rm(s: &Session, m: &Matches) -> Outcome {
    let query = Query::new().with_some("dir", m.text("checkpoint-dir"));
    let path = format!("/containers/{}/checkpoints/{}", m.word(0), m.word(1));
    Ok(s.client()?.delete(path).query(query).done().await?)
}
