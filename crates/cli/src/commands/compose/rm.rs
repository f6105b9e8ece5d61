//! `compose rm`.

use gantry_compose::{Container, down, look, stop};

use super::ground::Ground;
use super::{DRY_RUN, up};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Accepted: without effect").short('a').hidden(),
    switch("force", "Do not ask").short('f'),
    switch("stop", "Stop them first").short('s'),
    switch("volumes", "Remove their anonymous volumes, too").short('v'),
];

pub static RM: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Removes stopped service containers",
    long: "Removes stopped service containers\n\nBy default, anonymous volumes attached to containers will not be removed. You\ncan override this with -v. To list all volumes, use \"docker volume ls\".\n\nAny data which is not in a volume will be lost.",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, mut observed) = Ground::find(s, m, "Removing", &m.words).await?;
    if m.on("stop") {
        stop::stop(&ground.scene(), &observed.containers, &m.words, None).await?;
        if !ground.dry_run() {
            observed = look(ground.client, &ground.project.name).await?;
        }
    }
    let stopped = |c: &&Container| {
        let named = m.words.is_empty() || m.words.contains(&c.service);
        let running = c.is_running() && !(m.on("stop") && ground.dry_run());
        named && !running && !c.is_one_off() && ground.project.service(&c.service).is_some()
    };
    let containers: Vec<&Container> = observed.containers.iter().filter(stopped).collect();
    if containers.is_empty() {
        print::err("No stopped containers");
        return Ok(());
    }
    let names: Vec<&str> = containers.iter().map(|c| c.name.as_str()).collect();
    let told = format!("Going to remove {}", names.join(", "));
    if m.on("force") {
        print::line(&told);
    } else if !up::confirmed(told).await {
        return Ok(());
    }
    let scene = ground.scene();
    let removals = containers.iter().map(|c| down::removal(&scene, c, m.on("volumes")));
    futures_util::future::try_join_all(removals).await?;
    Ok(())
}
