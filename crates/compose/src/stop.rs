//! Stops, kills and restarts containers, dependents first.

use futures_util::future::{join_all, try_join_all};
use gantry_compose_file::project::Service;

use crate::containers::Container;
use crate::failed::Failed;
use crate::order::Order;
use crate::progress::Event;
use crate::scene::Scene;
use crate::start::walk;
use crate::{hooks, start};

/// Stops the containers of the named services (none: of all), dependents before what they depend on.
pub async fn stop(
    scene: &Scene<'_>,
    containers: &[Container],
    services: &[String],
    timeout: Option<i64>,
) -> Result<(), Failed> {
    let order = Order::backward(scene.project);
    walk(&order, |name| async move {
        if !services.is_empty() && !services.contains(&name) {
            return Ok(());
        }
        let service = scene.project.services.get(&name);
        let own = containers.iter().filter(|c| c.service == name && !c.is_one_off());
        try_join_all(own.map(|c| one(scene, service, c, timeout))).await.map(drop)
    })
    .await
}

/// Stops one container.
pub(crate) async fn one(
    scene: &Scene<'_>,
    service: Option<&Service>,
    container: &Container,
    timeout: Option<i64>,
) -> Result<(), Failed> {
    scene.progress.tell(Event::working(container.title(), "Stopping"));
    if !scene.dry_run {
        if let Some(service) = service.filter(|_| container.is_running()) {
            hooks::pre_stop(scene, service, &container.id, &container.name).await?;
        }
        match scene.client.container_stop(&container.id, "stop", "", timeout).await {
            Err(err) if matches!(err.status(), Some(304 | 404)) => {}
            Err(err) => {
                scene.progress.tell(Event::error(container.title(), "Error while Stopping"));
                return Err(Failed::at(container.title())(err));
            }
            Ok(()) => {}
        }
    }
    scene.progress.tell(Event::done(container.title(), "Stopped"));
    Ok(())
}

/// Sends a signal to the containers that run.
pub async fn kill(scene: &Scene<'_>, containers: &[Container], signal: &str) -> Result<(), Failed> {
    let outcomes = join_all(containers.iter().map(|container| async move {
        scene.progress.tell(Event::working(container.title(), "Killing"));
        if !scene.dry_run
            && let Err(err) = scene.client.container_kill(&container.id, signal).await
        {
            scene.progress.tell(Event::error(container.title(), "Error while Killing"));
            return Err(Failed::at(container.title())(err));
        }
        scene.progress.tell(Event::done(container.title(), "Killed"));
        Ok(())
    }))
    .await;
    outcomes.into_iter().collect()
}

/// Restarts the containers of the named services (none: of all), dependencies first; `deps` takes along those who asked
/// to restart with them.
pub async fn restart(
    scene: &Scene<'_>,
    containers: &[Container],
    services: &[String],
    deps: bool,
    timeout: Option<i64>,
) -> Result<(), Failed> {
    let mut wanted: Vec<String> = match services {
        [] => scene.project.services.keys().cloned().collect(),
        named => named.to_vec(),
    };
    if deps {
        let asks = |s: &Service| s.depends_on.iter().any(|(name, d)| d.restart && services.contains(name));
        wanted.extend(scene.project.services.values().filter(|s| asks(s)).map(|s| s.name.clone()));
    }
    let wanted = &wanted;
    let order = Order::forward(scene.project)?;
    walk(&order, |name| async move {
        if !wanted.contains(&name) {
            return Ok(());
        }
        let service = &scene.project.services[&name];
        if deps {
            start::dependencies(scene, containers, service).await?;
        }
        let own = containers.iter().filter(|c| c.service == name && !c.is_one_off());
        let outcomes = join_all(own.map(|container| async move {
            scene.progress.tell(Event::working(container.title(), "Restarting"));
            if !scene.dry_run {
                if container.is_running() {
                    hooks::pre_stop(scene, service, &container.id, &container.name).await?;
                }
                let again = scene.client.container_stop(&container.id, "restart", "", timeout).await;
                again.map_err(Failed::at(container.title()))?;
                hooks::post_start(scene, service, &container.id, &container.name).await?;
            }
            scene.progress.tell(Event::done(container.title(), "Started"));
            Ok(())
        }))
        .await;
        outcomes.into_iter().collect()
    })
    .await
}

/// `pause` or `unpause` of containers.
pub async fn pause(scene: &Scene<'_>, containers: &[Container], verb: &'static str) -> Result<(), Failed> {
    let status = if verb == "pause" { "Paused" } else { "Unpaused" };
    // One that refuses, being in that state already, holds up no other.
    join_all(containers.iter().map(|container| async move {
        if !scene.dry_run {
            scene.client.container_verb(&container.id, verb).await.map_err(Failed::at(container.title()))?;
        }
        scene.progress.tell(Event::done(container.title(), status));
        Ok(())
    }))
    .await
    .into_iter()
    .collect()
}
