//! `network disconnect`.

use serde_json::json;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[switch("force", "Even when the container is gone").short('f')];

pub static DISCONNECT: Command = Command {
    usage: "[OPTIONS] NETWORK CONTAINER",
    short: "Disconnect a container from a network",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    names: Names::NetworkThenContainer,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let body = json!({"Container": m.word(1), "Force": m.on("force")});
    Ok(s.client()?.network_disconnect(m.word(0), &body).await?)
}
