//! Takes a project away: containers, dependents first, then networks, and what else was asked for.

use futures_util::future::try_join_all;
use gantry_client::{ClientError, Query};

use crate::containers::Container;
use crate::failed::Failed;
use crate::observe::{Observed, label};
use crate::order::Order;
use crate::plan::is_orphan;
use crate::progress::Event;
use crate::scene::Scene;
use crate::start::walk;
use crate::{labels, stop};

/// What goes.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only these services; none: all.
    pub services: Vec<String>,
    /// The patience of a stop, in seconds.
    pub timeout: Option<i64>,
    /// Volumes, too.
    pub volumes: bool,
    /// Containers of services that are no more, too.
    pub remove_orphans: bool,
    /// Images, too.
    pub images: Vec<String>,
}

/// Takes it away. Answers whether there was anything.
pub async fn down(scene: &Scene<'_>, observed: &Observed, options: &Options) -> Result<bool, Failed> {
    let chosen = |c: &&Container| options.services.is_empty() || options.services.contains(&c.service);
    let containers: Vec<&Container> = observed
        .containers
        .iter()
        .filter(|c| !c.is_one_off() || options.remove_orphans)
        .filter(chosen)
        .collect();
    let all = &containers;
    let order = Order::backward(scene.project);
    walk(&order, |name| async move {
        let service = scene.project.services.get(&name);
        let own = all.iter().filter(|c| c.service == name);
        try_join_all(own.map(|c| remove(scene, service, c, options))).await.map(drop)
    })
    .await?;
    if options.remove_orphans {
        let known = |c: &&&Container| scene.project.services.contains_key(&c.service);
        let orphans = containers.iter().filter(|c| is_orphan(scene.project, c) && !known(c));
        try_join_all(orphans.map(|c| remove(scene, None, c, options))).await?;
    }
    let mut some = !containers.is_empty();
    if !options.services.is_empty() {
        return Ok(some);
    }
    let networks: Vec<(&str, &str)> = scene
        .project
        .networks
        .values()
        .filter(|n| !n.external)
        .filter_map(|n| observed.networks.iter().find(|there| there.name == n.name))
        .filter(|there| label(&there.labels, labels::PROJECT) == scene.project.name)
        .map(|there| (there.name.as_str(), there.id.as_str()))
        .collect();
    let volumes: Vec<&str> = match options.volumes {
        true => scene.project.volumes.values().filter(|v| !v.external).map(|v| v.name.as_str()).collect(),
        false => Vec::new(),
    };
    let volumes: Vec<&str> = volumes.into_iter().filter(|name| observed.volume(name).is_some()).collect();
    some |= !networks.is_empty() || !volumes.is_empty() || !options.images.is_empty();
    let networks = networks.into_iter().map(|(name, id)| async move {
        gone(scene, format!("Network {name}"), scene.client.network_remove(id)).await
    });
    let volumes = volumes.into_iter().map(|name| async move {
        gone(scene, format!("Volume {name}"), scene.client.volume_remove(name, true)).await
    });
    let images = options.images.iter().map(|name| async move {
        let removed = async { scene.client.image_remove(name, Query::new()).await.map(drop) };
        gone(scene, format!("Image {name}"), removed).await
    });
    futures_util::future::try_join3(try_join_all(networks), try_join_all(volumes), try_join_all(images))
        .await?;
    Ok(some)
}

async fn remove(
    scene: &Scene<'_>,
    service: Option<&gantry_compose_file::project::Service>,
    container: &Container,
    options: &Options,
) -> Result<(), Failed> {
    if container.is_running()
        || container.state == crate::State::Restarting
        || container.state == crate::State::Paused
    {
        stop::one(scene, service, container, options.timeout).await?;
    }
    removal(scene, container, options.volumes).await
}

/// Removes one container, whatever it does.
pub async fn removal(scene: &Scene<'_>, container: &Container, volumes: bool) -> Result<(), Failed> {
    scene.progress.tell(Event::working(container.title(), "Removing"));
    let query = Query::new().flag("force", true).flag("v", volumes);
    if !scene.dry_run {
        match scene.client.container_remove(&container.id, query).await {
            Err(err) if matches!(err.status(), Some(404 | 409)) => {}
            Err(err) => {
                scene.progress.tell(Event::error(container.title(), "Error while Removing"));
                return Err(Failed::at(container.title())(err));
            }
            Ok(()) => {}
        }
    }
    scene.progress.tell(Event::done(container.title(), "Removed"));
    Ok(())
}

/// Removes something that others may still use: then it stays, and that is told.
async fn gone(
    scene: &Scene<'_>,
    what: String,
    removal: impl Future<Output = Result<(), ClientError>>,
) -> Result<(), Failed> {
    scene.progress.tell(Event::working(&what, "Removing"));
    let outcome = if scene.dry_run { Ok(()) } else { removal.await };
    match outcome {
        Ok(()) => scene.progress.tell(Event::done(&what, "Removed")),
        Err(err) if matches!(err.status(), Some(403 | 409)) => {
            scene.progress.tell(Event::warning(&what, "Resource is still in use"));
        }
        Err(err) if err.is_not_found() => {
            scene.progress.tell(Event::done(&what, "Warning: No resource found to remove"));
        }
        Err(err) => {
            scene.progress.tell(Event::error(&what, "Error"));
            return Err(Failed::at(what)(err));
        }
    }
    Ok(())
}
