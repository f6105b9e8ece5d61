//! Starts containers, dependencies first, each service as soon as what it waits for is there.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gantry_client::Query;
use gantry_compose_file::project::{Condition, Service};

use crate::containers::{Container, State};
use crate::failed::Failed;
use crate::order::Order;
use crate::progress::Event;
use crate::scene::Scene;
use crate::wait::{self, Until};
use crate::{grants, hooks};

/// How to start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether to come back only when all is well.
    pub wait: bool,
    /// How long that may take, in seconds.
    pub wait_timeout: Option<u64>,
}

/// Does `work` for every service, each as soon as those before it are done.
pub(crate) async fn walk<W: Future<Output = Result<(), Failed>>>(
    order: &Order,
    work: impl Fn(String) -> W,
) -> Result<(), Failed> {
    let mut left = order.sorted()?;
    let mut done: Vec<String> = Vec::new();
    let mut running = FuturesUnordered::new();
    loop {
        let mut at = 0;
        while at < left.len() {
            if order.before(&left[at]).all(|before| done.contains(before)) {
                let name = left.remove(at);
                let doing = work(name.clone());
                running.push(async move { (name, doing.await) });
            } else {
                at += 1;
            }
        }
        match running.next().await {
            Some((name, Ok(()))) => done.push(name),
            Some((_, Err(failure))) => return Err(failure),
            None => return Ok(()),
        }
    }
}

/// Starts what does not run of these containers, which are all that the project has.
pub async fn start(scene: &Scene<'_>, containers: &[Container], options: Options) -> Result<(), Failed> {
    let order = Order::forward(scene.project)?;
    walk(&order, |name| async move { service(scene, containers, &scene.project.services[&name]).await })
        .await?;
    if !options.wait || scene.dry_run {
        return Ok(());
    }
    let all = walk(&order, |name| async move {
        let until = match completes(scene, &name) {
            true => Until::Completed,
            false => Until::RunningOrHealthy,
        };
        reach(scene, containers, &name, until).await
    });
    match options.wait_timeout {
        None => all.await,
        Some(seconds) => match tokio::time::timeout(Duration::from_secs(seconds), all).await {
            Ok(done) => done,
            Err(_) => Err(Failed::NotHealthyAfter(format!("{seconds}s"))),
        },
    }
}

/// Whether some other service waits for this one's end: then running is not what it is for.
fn completes(scene: &Scene<'_>, name: &str) -> bool {
    let condition = |s: &Service| s.depends_on.get(name).map(|d| d.condition);
    scene.project.services.values().any(|s| condition(s) == Some(Condition::CompletedSuccessfully))
}

async fn service(scene: &Scene<'_>, containers: &[Container], service: &Service) -> Result<(), Failed> {
    dependencies(scene, containers, service).await?;
    let mut own: Vec<&Container> = of(containers, &service.name).collect();
    if own.is_empty() && service.replicas() > 0 && !scene.dry_run {
        return Err(Failed::NothingToStart(service.name.clone()));
    }
    own.retain(|c| c.state != State::Running);
    own.sort_by_key(|c| c.number);
    let starts = own.into_iter().map(|container| async move {
        scene.progress.tell(Event::working(container.title(), "Starting"));
        let outcome = match (scene.dry_run, container.state) {
            (true, _) => Ok(()),
            (false, State::Paused) => scene
                .client
                .container_verb(&container.id, "unpause")
                .await
                .map_err(Failed::at(container.title())),
            _ => begin(scene, service, &container.id, &container.name).await,
        };
        match &outcome {
            Ok(()) => scene.progress.tell(Event::done(container.title(), "Started")),
            Err(_) => scene.progress.tell(Event::error(container.title(), "Error")),
        }
        outcome
    });
    // All are tried, so that what is told does not depend on who was first.
    let outcomes = futures_util::future::join_all(starts).await;
    outcomes.into_iter().collect()
}

/// Gives a container its secrets, starts it and runs its hooks.
pub(crate) async fn begin(scene: &Scene<'_>, service: &Service, id: &str, name: &str) -> Result<(), Failed> {
    grants::copy(scene, service, id).await?;
    let started = scene.client.container_start(id, Query::new()).await;
    started.map_err(Failed::at(format!("Container {name}")))?;
    hooks::post_start(scene, service, id, name).await
}

/// Waits until everything that a service depends on is as it asks.
pub(crate) async fn dependencies(
    scene: &Scene<'_>,
    containers: &[Container],
    service: &Service,
) -> Result<(), Failed> {
    for (name, dependency) in &service.depends_on {
        let until = match dependency.condition {
            Condition::Started => continue,
            Condition::Healthy => Until::Healthy,
            Condition::CompletedSuccessfully => Until::Completed,
        };
        // One that is not selected, or is to have no container, is not waited for.
        let Some(other) = scene.project.services.get(name).filter(|s| s.replicas() > 0) else { continue };
        if scene.dry_run {
            continue;
        }
        if of(containers, name).next().is_none() {
            if dependency.required {
                let dependent = service.name.clone();
                return Err(Failed::MissingDependency { dependent, dependency: other.name.clone() });
            }
            scene.progress.warn(&format!("{} is missing dependency {name}", service.name));
            continue;
        }
        match reach(scene, containers, name, until).await {
            Ok(()) => {}
            Err(failure) if !dependency.required => {
                scene.progress.warn(&format!("optional dependency {name:?} failed to start: {failure}"));
            }
            Err(failure @ Failed::Incomplete { .. }) => return Err(failure),
            Err(failure) => return Err(Failed::Dependency(Box::new(failure))),
        }
    }
    Ok(())
}

/// Waits for all containers of a service.
async fn reach(scene: &Scene<'_>, containers: &[Container], name: &str, until: Until) -> Result<(), Failed> {
    let waits = of(containers, name).map(|container| async move {
        scene.progress.tell(Event::working(container.title(), "Waiting"));
        let outcome = wait::until(scene.client, &container.id, name, until).await;
        scene.progress.tell(match (&outcome, until) {
            (Ok(()), Until::Completed) => Event::done(container.title(), "Exited"),
            (Ok(()), _) => Event::done(container.title(), "Healthy"),
            (Err(_), _) => Event::error(container.title(), "Error"),
        });
        outcome
    });
    futures_util::future::try_join_all(waits).await.map(drop)
}

fn of<'c>(containers: &'c [Container], service: &'c str) -> impl Iterator<Item = &'c Container> {
    containers.iter().filter(move |c| c.service == service && !c.is_one_off())
}
