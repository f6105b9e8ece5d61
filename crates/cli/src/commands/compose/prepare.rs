//! The images of a project, there before its containers are made: pulled or built as each service asks.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use gantry_client::Query;
use gantry_compose::progress::Event;
use gantry_compose::{Images, images, names};
use gantry_compose_file::project::{MountKind, Project, PullPolicy, Service, Source};
use gantry_names::Reference;
use jiff::Timestamp;
use serde_json::Value;

use super::build;
use super::ground::Ground;
use crate::commands::image::progress::failure_in;
use crate::failure::{Failure, Outcome};

/// What the command line says about images.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'w> {
    /// `--pull`; empty: as each service asks.
    pub pull: &'w str,
    /// `--build`: build what can be built.
    pub build: bool,
    /// `--no-build`.
    pub no_build: bool,
    /// `--quiet-pull`.
    pub quiet_pull: bool,
    /// `--quiet-build`.
    pub quiet_build: bool,
}

/// Sees to it that every service's image is there. Answers what is to be known of them.
pub async fn prepare(ground: &Ground<'_>, wish: &Wish<'_>) -> Result<Images, Failure> {
    check_pull(wish.pull)?;
    let project = &ground.project;
    for service in project.services.values() {
        supported(service)?;
        kept_here(project, service)?;
    }
    let mut wanted = images::names(project, ground.separator());
    wanted.extend(mounted(ground));
    wanted.sort();
    wanted.dedup();
    let mut there = images::facts(ground.client, &wanted).await?;
    let mut fresh = pull(ground, wish, &there).await?;
    if !wish.no_build {
        for service in build::ordered(project, project.services.values())? {
            let image = names::image(&project.name, service, ground.separator());
            let forced = wish.build || policy(service, wish) == PullPolicy::Build;
            let missing = !there.contains_key(&image) && !fresh.contains(&image);
            if forced || missing {
                if ground.dry_run() {
                    ground.progress().tell(Event::done(format!("Image {image}"), "Built"));
                    continue;
                }
                build::service(
                    ground,
                    service,
                    &build::Extra { quiet: wish.quiet_build, ..Default::default() },
                )
                .await?;
                fresh.push(image);
            }
        }
    }
    if !fresh.is_empty() && !ground.dry_run() {
        there.extend(images::facts(ground.client, &fresh).await?);
    }
    Ok(there)
}

fn check_pull(word: &str) -> Outcome {
    match word {
        "" | "policy" | "always" | "missing" | "never" | "build" | "if_not_present" => Ok(()),
        other => Err(Failure::text(1, format!("invalid --pull option {other:?}"))),
    }
}

/// What no engine on one machine does, told in a sentence.
pub fn supported(service: &Service) -> Outcome {
    let name = &service.name;
    if let Some(provider) = &service.provider {
        let kind = &provider.kind;
        return Err(Failure::text(
            1,
            format!(
                "service {name:?}: providers are not supported (type {kind:?}): run what it provides as a service of its own"
            ),
        ));
    }
    if let Some(model) = service.models.keys().next() {
        return Err(Failure::text(
            1,
            format!(
                "service {name:?}: models are not supported ({model:?}): run the model in a service and name its address in the environment"
            ),
        ));
    }
    if service.image.is_empty() && service.build.is_none() {
        return Err(Failure::text(
            1,
            format!("invalid service {name:?}. Must specify either image or build"),
        ));
    }
    Ok(())
}

/// Secrets and configs that only a cluster keeps.
fn kept_here(project: &Project, service: &Service) -> Outcome {
    let secrets = service.secrets.iter().filter_map(|grant| {
        project.secrets.get(&grant.source).map(|secret| ("secret", &grant.source, &secret.source))
    });
    let configs = service.configs.iter().filter_map(|grant| {
        project.configs.get(&grant.source).map(|config| ("config", &grant.source, &config.source))
    });
    let mut elsewhere = secrets.chain(configs).filter(|(_, _, source)| **source == Source::External);
    match elsewhere.next() {
        None => Ok(()),
        Some((kind, name, _)) => Err(Failure::text(
            1,
            format!(
                "unsupported external {kind} {name}: an engine that is in no cluster keeps none; give it a file, an environment variable or its content"
            ),
        )),
    }
}

/// Images that are mounted.
fn mounted(ground: &Ground<'_>) -> Vec<String> {
    let mounts = ground.project.services.values().flat_map(|s| &s.volumes);
    let images = mounts.filter(|m| m.kind == MountKind::Image && ground.project.service(&m.source).is_none());
    images.map(|m| m.source.clone()).collect()
}

fn policy(service: &Service, wish: &Wish<'_>) -> PullPolicy {
    match wish.pull {
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "build" => PullPolicy::Build,
        "missing" | "if_not_present" => PullPolicy::Missing,
        _ => service.pull(),
    }
}

/// Pulls what has to be pulled, all at once. Answers the names of what came.
async fn pull(ground: &Ground<'_>, wish: &Wish<'_>, there: &Images) -> Result<Vec<String>, Failure> {
    let mut wanted: BTreeMap<String, &Service> = BTreeMap::new();
    for service in ground.project.services.values().filter(|s| !s.image.is_empty()) {
        let known = there.contains_key(&service.image);
        let due = match policy(service, wish) {
            PullPolicy::Always => true,
            PullPolicy::Never | PullPolicy::Build => false,
            PullPolicy::Missing => !(known || wish.build && service.build.is_some()),
            PullPolicy::Refresh(age) => !known || older_than(ground, &service.image, age.0).await?,
        };
        if due {
            wanted.entry(service.image.clone()).or_insert(service);
        }
    }
    let images: Vec<String> =
        mounted(ground).into_iter().filter(|image| !there.contains_key(image)).collect();
    let pulls = wanted.iter().map(|(image, service)| async move {
        match one(ground, image, &service.platform, wish.quiet_pull).await {
            Ok(()) => Ok(Some(image.clone())),
            // It can be built instead.
            Err(failure) if service.build.is_some() && !wish.no_build => {
                ground.progress().tell(Event::warning(format!("Image {image}"), failure.to_string()));
                Ok(None)
            }
            Err(failure) => {
                Err(Failure::text(failure.code(), format!("service {:?}: {failure}", service.name)))
            }
        }
    });
    let more = images.iter().map(|image| async move {
        one(ground, image, "", wish.quiet_pull).await.map(|()| Some(image.clone()))
    });
    let (first, second) = futures_util::future::join(join_all(pulls), join_all(more)).await;
    let came: Vec<Option<String>> = first.into_iter().chain(second).collect::<Result<_, _>>()?;
    Ok(came.into_iter().flatten().collect())
}

/// Whether an image was last pulled or tagged longer ago than so many nanoseconds.
async fn older_than(ground: &Ground<'_>, image: &str, nanos: i64) -> Result<bool, Failure> {
    let image = ground.client.image_inspect(image, Query::new()).await?;
    let at = image["Metadata"]["LastTagTime"].as_str().and_then(|t| t.parse::<Timestamp>().ok());
    Ok(at.is_none_or(|at| Timestamp::now().as_nanosecond() - at.as_nanosecond() > i128::from(nanos)))
}

/// Pulls one image and tells how far it is.
pub async fn one(ground: &Ground<'_>, image: &str, platform: &str, quiet: bool) -> Outcome {
    let what = format!("Image {image}");
    let progress = ground.progress();
    progress.tell(Event::working(&what, "Pulling"));
    if ground.dry_run() {
        progress.tell(Event::done(&what, "Pulled"));
        return Ok(());
    }
    match layers(ground, image, platform, &what, quiet).await {
        Ok(()) => {
            progress.tell(Event::done(&what, "Pulled"));
            Ok(())
        }
        Err(failure) => {
            progress.tell(Event::error(&what, failure.to_string()));
            Err(failure)
        }
    }
}

async fn layers(ground: &Ground<'_>, image: &str, platform: &str, what: &str, quiet: bool) -> Outcome {
    let reference = Reference::parse(image).map_err(|e| Failure::text(1, e.to_string()))?.or_latest();
    let tag = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    let query = Query::new()
        .with("fromImage", reference.familiar_name())
        .with("tag", tag)
        .with_some("platform", platform.to_lowercase());
    let auth = ground.s.registry_auth(&reference.to_string());
    let mut stream = ground.client.image_create(query, Some(auth), None).await?;
    while let Some(message) = stream.next().await? {
        if let Some(failure) = failure_in(&message) {
            return Err(failure);
        }
        if !quiet && let Some(event) = layer(what, &message) {
            ground.progress().tell(event);
        }
    }
    Ok(())
}

/// A layer's news, without the ones that only move a bar.
fn layer(what: &str, message: &Value) -> Option<Event> {
    let id = message["id"].as_str().filter(|id| id.len() == 12)?;
    let status = message["status"].as_str()?;
    let mut event = match status {
        "Pull complete" | "Already exists" | "Download complete" => Event::done(id, status),
        _ if message["progressDetail"]["current"].is_number() => return None,
        _ => Event::working(id, status),
    };
    event.part_of = Some(what.to_owned());
    Some(event)
}
