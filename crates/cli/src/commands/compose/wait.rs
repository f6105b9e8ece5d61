//! `compose wait`.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gantry_compose::{Container, down, look};

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[switch("down-project", "Take the project down when the first container stops")];

pub static WAIT: Command = Command {
    usage: "SERVICE [SERVICE...] [OPTIONS]",
    short: "Block until containers of all (or specified) services stop.",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Running", &[]).await?;
    let wanted = |c: &&Container| m.words.contains(&c.service) && c.is_running();
    let containers: Vec<&Container> = observed.containers.iter().filter(wanted).collect();
    if containers.is_empty() {
        return Err(Failure::text(1, format!("no containers for project {:?}", ground.project.name)));
    }
    let client = ground.client;
    let mut waits: FuturesUnordered<_> = containers
        .iter()
        .map(|container| async move {
            let (code, _) = client.container_wait(&container.id, "").await?.wait_result().await?;
            Ok::<_, Failure>((container.id.clone(), code))
        })
        .collect();
    let mut last = 0;
    while let Some(ended) = waits.next().await {
        let (id, code) = ended?;
        print::line(&format!("container {id:?} exited with status code {code}"));
        last = code;
        if m.on("down-project") {
            break;
        }
    }
    if m.on("down-project") {
        let observed = look(client, &ground.project.name).await?;
        let options = down::Options { remove_orphans: true, ..down::Options::default() };
        down::down(&ground.scene(), &observed, &options).await?;
    }
    match last {
        0 => Ok(()),
        code => Err(Failure::silent(code as u8)),
    }
}
