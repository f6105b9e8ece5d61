//! `volume rm`.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::each;
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[switch("force", "A missing volume is no failure").short('f')];

pub static RM: Command = Command {
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    short: "Remove one or more volumes",
    long: "Remove one or more volumes. A volume that a container uses cannot be removed.",
    aliases: &["volume rm", "volume remove"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Volumes,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    each(&m.words, |name| async move {
        client.volume_remove(&name, m.on("force")).await?;
        Ok(name)
    })
    .await
}
