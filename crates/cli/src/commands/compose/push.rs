//! `compose push`.

use gantry_client::Query;
use gantry_compose::names;
use gantry_compose::progress::Event;
use gantry_compose_file::project::Service;
use gantry_names::Reference;

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::commands::image::progress::failure_in;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("ignore-push-failures", "Push what can be pushed"),
    switch("include-deps", "Images of dependencies, too"),
    switch("quiet", "Without progress").short('q'),
];

pub static PUSH: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Push service images",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut ground = Ground::load(s, m, "Pushing", &m.words)?;
    if m.on("quiet") {
        ground.hush();
    }
    let mut failed = Vec::new();
    let chosen =
        |service: &&Service| m.words.is_empty() || m.on("include-deps") || m.words.contains(&service.name);
    for service in ground.project.services.values().filter(chosen) {
        if service.build.is_none() || service.image.is_empty() {
            ground.progress().tell(Event::done(&service.name, "Skipped"));
            continue;
        }
        let build = service.build.iter().flat_map(|b| b.tags.iter().cloned());
        let own = names::image(&ground.project.name, service, ground.separator());
        for name in std::iter::once(own).chain(build) {
            if let Err(failure) = image(&ground, &name, m.on("quiet")).await {
                failed.push(format!("service {:?}: {failure}", service.name));
            }
        }
    }
    if m.on("ignore-push-failures") { Ok(()) } else { Failure::all(failed) }
}

/// Pushes one image.
pub async fn image(ground: &Ground<'_>, name: &str, quiet: bool) -> Outcome {
    let what = format!("Image {name}");
    ground.progress().tell(Event::working(&what, "Pushing"));
    if !ground.dry_run()
        && let Err(failure) = send(ground, name, quiet).await
    {
        ground.progress().tell(Event::error(&what, failure.to_string()));
        return Err(failure);
    }
    ground.progress().tell(Event::done(&what, "Pushed"));
    Ok(())
}

async fn send(ground: &Ground<'_>, name: &str, quiet: bool) -> Outcome {
    let reference = Reference::parse(name).map_err(|e| Failure::text(1, e.to_string()))?.or_latest();
    let query = Query::new().with("tag", reference.tag().unwrap_or_default());
    let auth = ground.s.registry_auth(&reference.to_string());
    let mut stream = ground.client.image_push(&reference.familiar_name(), query, auth).await?;
    while let Some(message) = stream.next().await? {
        if let Some(failure) = failure_in(&message) {
            return Err(failure);
        }
        let (id, status) = (message["id"].as_str(), message["status"].as_str());
        if let (Some(id), Some(status), false) = (id, status, quiet)
            && !message["progressDetail"]["current"].is_number()
        {
            let mut event = Event::working(id, status);
            event.part_of = Some(format!("Image {name}"));
            ground.progress().tell(event);
        }
    }
    Ok(())
}
