//! `compose down`.

use gantry_compose::{down, names};

use super::ground::Ground;
use super::{DRY_RUN, up};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("remove-orphans", "Remove containers of services that are not in the file"),
    text("rmi", "Remove images: \"local\" those without a name of their own, \"all\" all of them"),
    flag("timeout", Kind::Int, "Patience of stops in seconds").short('t'),
    switch("volumes", "Remove the volumes of the file and anonymous ones").short('v'),
];

pub static DOWN: Command = Command {
    usage: "[OPTIONS] [SERVICES]",
    short: "Stop and remove containers, networks",
    examples: &[("-v --rmi local", "Volumes and images that were built, too")],
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let rmi = m.text("rmi");
    if !matches!(rmi, "" | "local" | "all") {
        return Err(Failure::text(1, format!("invalid value for --rmi: {rmi:?}")));
    }
    // Profiles that are off may have left something, too.
    let (mut ground, observed) = Ground::find(s, m, "Running", &[]).await?;
    let named = m.words.iter().find(|name| ground.project.service(name).is_none());
    if let Some(name) = named {
        return Err(format!("no such service: {name}").into());
    }
    let mut images = Vec::new();
    for service in ground.project.services.values() {
        let own = service.image.is_empty() || rmi == "all";
        let of_build = service.build.is_some() || rmi == "all";
        if !rmi.is_empty() && own && of_build {
            images.push(names::image(&ground.project.name, service, ground.separator()));
        }
    }
    images.sort();
    images.dedup();
    let there = gantry_compose::images::facts(ground.client, &images).await?;
    images.retain(|image| there.contains_key(image));
    let disabled = std::mem::take(&mut ground.project.disabled);
    ground.project.services.extend(disabled);
    let options = down::Options {
        services: m.words.clone(),
        timeout: m.changed("timeout").then(|| m.int("timeout")),
        volumes: m.on("volumes"),
        remove_orphans: up::remove_orphans(m),
        images,
    };
    if !down::down(&ground.scene(), &observed, &options).await? {
        let name = &ground.project.name;
        ground.progress().warn(&format!("Warning: No resource found to remove for project {name:?}."));
    }
    Ok(())
}
