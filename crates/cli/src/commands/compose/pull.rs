//! `compose pull`.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use gantry_compose::progress::Event;
use gantry_compose_file::project::{PullPolicy, Service};

use super::ground::Ground;
use super::{DRY_RUN, prepare};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("ignore-buildable", "Leave images that can be built"),
    switch("ignore-pull-failures", "Pull what can be pulled"),
    switch("include-deps", "Images of dependencies, too"),
    text("policy", "Which: missing or always"),
    switch("quiet", "Without progress").short('q'),
    switch("parallel", "Accepted: pulls run at once").hidden(),
    switch("no-parallel", "Accepted, without effect").hidden(),
    switch("allow-insecure-ssl", "Accepted: fig's, the engine knows its registries").hidden(),
];

pub static PULL: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Pull service images",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    if !matches!(m.text("policy"), "" | "missing" | "always") {
        return Err(Failure::text(1, format!("invalid --policy option {:?}", m.text("policy"))));
    }
    let mut ground = Ground::load(s, m, "Pulling", &m.words)?;
    if m.on("quiet") {
        ground.hush();
    }
    let chosen =
        |service: &&Service| m.words.is_empty() || m.on("include-deps") || m.words.contains(&service.name);
    let names: Vec<String> =
        ground.project.services.values().map(|s| s.image.clone()).filter(|i| !i.is_empty()).collect();
    let there = match m.text("policy") {
        "always" => Default::default(),
        _ => gantry_compose::images::facts(ground.client, &names).await?,
    };
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<&Service> = Vec::new();
    let skipped = |what: &str, why: &str| {
        ground.progress().tell(Event::done(what, format!("Skipped - {why}")));
    };
    for service in ground.project.services.values().filter(chosen) {
        let image = format!("Image {}", service.image);
        let there = there.contains_key(&service.image);
        if service.image.is_empty() {
            skipped(&service.name, "No image to be pulled");
        } else if m.text("policy") == "missing" && there {
            skipped(&image, "Image is already present locally");
        } else if service.build.is_some() && m.on("ignore-buildable") {
            skipped(&image, "Image can be built");
        } else if matches!(service.pull(), PullPolicy::Never | PullPolicy::Build) {
            continue;
        } else if service.pull_policy == "missing" && there {
            skipped(&image, "Image is already present locally");
        } else if seen.insert(service.image.clone()) {
            wanted.push(service);
        }
    }
    let ground = &ground;
    let outcomes = join_all(wanted.into_iter().map(|service| async move {
        (service, prepare::one(ground, &service.image, &service.platform, m.on("quiet")).await)
    }))
    .await;
    let mut failed = Vec::new();
    for (service, outcome) in outcomes {
        if let Err(failure) = outcome {
            match service.build.is_some() {
                true => ground.progress().warn(&format!(
                    "Some service image(s) must be built from source by running:\n    docker compose build {}",
                    service.name
                )),
                false => failed.push(format!("service {:?}: {failure}", service.name)),
            }
        }
    }
    if m.on("ignore-pull-failures") { Ok(()) } else { Failure::all(failed) }
}
