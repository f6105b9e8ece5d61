//! `volume update`: the availability of a cluster volume.

use serde_json::json;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[text("availability", "active, pause or drain").default("active")];

pub static UPDATE: Command = Command {
    usage: "[OPTIONS] [VOLUME]",
    short: "Update a volume (cluster volumes only)",
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    names: Names::Volumes,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    let volume = client.volume_inspect(m.word(0)).await?;
    if volume["ClusterVolume"].is_null() {
        return Err("Can only update cluster volumes".into());
    }
    let mut spec = volume["ClusterVolume"]["Spec"].clone();
    if m.changed("availability") {
        spec["Availability"] = json!(m.text("availability"));
    }
    let version = volume["ClusterVolume"]["Version"]["Index"].as_u64().unwrap_or(0);
    let id = volume["ClusterVolume"]["ID"].as_str().unwrap_or_default();
    Ok(client.volume_update(id, version, &json!({"Spec": spec})).await?)
}
