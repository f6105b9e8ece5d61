//! Containers.

use gantry_client::Query;
use gantry_compose_file::project::Service;
use serde_json::json;

use super::Executor;
use crate::convert::{Kept, Making};
use crate::failed::Failed;
use crate::names::Separator;
use crate::plan::{Existing, StepId};
use crate::{hash, hooks, labels, names, references, start, wait};

/// Since this version an engine takes several networks at a container's creation.
const ALL_NETWORKS: &str = "1.44";

/// The place that a new container takes.
pub(super) struct Place<'p> {
    /// Of this one.
    pub(super) replaces: Option<&'p Existing>,
    /// With its anonymous volumes.
    pub(super) inherit: bool,
    /// With its published ports.
    pub(super) takes_ports: bool,
}

impl Executor<'_> {
    pub(super) async fn create_container(
        &self,
        step: StepId,
        service: &str,
        number: u32,
        name: &str,
        place: Place<'_>,
    ) -> Result<(), Failed> {
        let service = &self.scene.project.services[service];
        let resolved = references::resolve(service, |other| self.first_of(other))?;
        let kept = match place.replaces.filter(|_| place.inherit) {
            Some(old) => self.kept(service, old),
            None => Vec::new(),
        };
        let mut further = Vec::new();
        if let Some(old) = place.replaces {
            if place.takes_ports {
                further.push((labels::TAKES_PORTS, old.id.clone()));
            }
            let replaced = match service.container_name.as_str() {
                "" => format!("{}{}{number}", service.name, self.scene.separator.as_str()),
                own => own.to_owned(),
            };
            further.push((labels::REPLACE, replaced));
        }
        // Compose 1's names go with its hash, so that it takes these containers over.
        let mut hash = hash::service(&resolved);
        if self.scene.separator == Separator::Underscore
            && let Some(first) = self.first_hash(service)
        {
            hash = first;
            further.push((labels::VERSION, labels::SPOKEN_FIRST.to_owned()));
        }
        let links = self.links(service, number);
        let making = Making {
            project: self.scene.project,
            service: &resolved,
            number: Some(number),
            separator: self.scene.separator,
            image_id: self.image_id(service),
            hash: &hash,
            labels: further,
            attach_stdin: false,
            auto_remove: false,
            aliases: true,
            links: &links,
            kept: &kept,
            proxies: self.scene.proxies,
            local: self.scene.local,
            all_networks: self.scene.client.speaks(ALL_NETWORKS).await?,
        };
        let id = create(self.scene, &making, name).await?;
        self.made.borrow_mut().insert(step, id.clone());
        self.live.borrow_mut().entry(service.name.clone()).or_default().push((id, name.to_owned()));
        Ok(())
    }

    fn first_hash(&self, service: &Service) -> Option<String> {
        let containers = |name: &str| match name.strip_prefix("service:") {
            Some(service) => self.first_of(service),
            None => self.shared.get(name).cloned(),
        };
        hash::first(self.scene.project, &service.name, Some(self.image_id(service)), &containers)
    }

    fn image_id(&self, service: &Service) -> &str {
        let image = names::image(&self.scene.project.name, service, self.scene.separator);
        self.images.get(&image).map_or("", |facts| &facts.id)
    }

    /// The anonymous volumes that the new container gets of the old one: those that the file has without a source,
    /// and those that the image asks for.
    fn kept(&self, service: &Service, old: &Existing) -> Vec<Kept> {
        let Some(old) = self.before.iter().find(|c| c.id == old.id) else { return Vec::new() };
        let image = names::image(&self.scene.project.name, service, self.scene.separator);
        let asked = self.images.get(&image).map(|facts| facts.volumes.as_slice()).unwrap_or_default();
        let anonymous = |target: &str| {
            let entry = service.volumes.iter().find(|m| m.target == target);
            entry.map_or_else(|| asked.iter().any(|v| v == target), |m| m.source.is_empty())
        };
        old.mounts.iter().filter(|m| m.kind != "tmpfs" && anonymous(&m.target)).cloned().collect()
    }

    /// `links` and `external_links` as the engine knows them: `container:alias`.
    fn links(&self, service: &Service, number: u32) -> Vec<String> {
        let live = self.live.borrow();
        links(self.scene, service, number, |name| {
            live.get(name).into_iter().flatten().map(|(_, name)| name.clone()).collect()
        })
    }

    pub(super) async fn stop_container(
        &self,
        container: &Existing,
        timeout: Option<i64>,
    ) -> Result<(), Failed> {
        if let Some(service) = self.scene.project.service(&container.service) {
            hooks::pre_stop(self.scene, service, &container.id, &container.name).await?;
        }
        match self.scene.client.container_stop(&container.id, "stop", "", timeout).await {
            // Stopped, or gone: nothing runs any more.
            Err(err) if matches!(err.status(), Some(304 | 404)) => Ok(()),
            other => Ok(other?),
        }
    }

    pub(super) async fn remove_container(&self, container: &Existing) -> Result<(), Failed> {
        let query = Query::new().flag("force", true);
        match self.scene.client.container_remove(&container.id, query).await {
            Err(err) if err.is_not_found() => {}
            other => other?,
        }
        if let Some(of) = self.live.borrow_mut().get_mut(&container.service) {
            of.retain(|(id, _)| *id != container.id);
        }
        Ok(())
    }

    pub(super) async fn rename(&self, id: &str, name: &str) -> Result<(), Failed> {
        self.scene.client.container_rename(id, name).await?;
        for (known, called) in self.live.borrow_mut().values_mut().flatten() {
            if known == id {
                name.clone_into(called);
            }
        }
        Ok(())
    }

    pub(super) async fn start_created(&self, created: StepId, service: &str) -> Result<(), Failed> {
        let id = self.made_by(created);
        let service = &self.scene.project.services[service];
        let well = async {
            start::begin(self.scene, service, &id, &service.name).await?;
            wait::until_well(self.scene.client, &id).await
        };
        let Err(failure) = well.await else { return Ok(()) };
        // The old one serves on; of the new one nothing is left that a later `up` could take for the right one.
        let gone = self.scene.client.container_remove(&id, Query::new().flag("force", true)).await;
        if let Err(err) = gone {
            self.scene.progress.warn(&format!("{}: {err}", service.name));
        }
        Err(Failed::StillTheOld { service: service.name.clone(), cause: Box::new(failure) })
    }
}

/// Makes a container, in all its networks.
pub(crate) async fn create(
    scene: &crate::Scene<'_>,
    making: &Making<'_>,
    name: &str,
) -> Result<String, Failed> {
    let body = making.body()?;
    let mut query = Query::new().with("name", name);
    let platform = match making.service.platform.as_str() {
        "" => making.project.environment.get("DOCKER_DEFAULT_PLATFORM").map_or("", String::as_str),
        platform => platform,
    };
    query = query.with_some("platform", platform);
    let made = match scene.client.container_create(query, &body).await {
        Ok(made) => made,
        Err(err) if is_final(scene, making, name, err.status()).await => {
            return Err(Failed::Final(Box::new(err.into())));
        }
        Err(err) => return Err(err.into()),
    };
    let id = made["Id"].as_str().unwrap_or_default().to_owned();
    for warning in made["Warnings"].as_array().into_iter().flatten().filter_map(|w| w.as_str()) {
        scene.progress.warn(&format!("{}: {warning}", making.service.name));
    }
    if !making.all_networks {
        for (network, endpoint) in making.further_networks()? {
            let body = json!({"Container": id, "EndpointConfig": endpoint});
            if let Err(err) = scene.client.network_connect(&network, &body).await {
                // Half a container is none; the network's refusal is what is told.
                let _ = scene.client.container_remove(&id, Query::new().flag("force", true)).await;
                return Err(err.into());
            }
        }
    }
    Ok(id)
}

/// Whether the engine's no to a new container stays: its name is another project's, or its image is not there.
async fn is_final(scene: &crate::Scene<'_>, making: &Making<'_>, name: &str, status: Option<u16>) -> bool {
    match status {
        Some(409) => scene.client.container_inspect(name, false).await.is_ok_and(|there| {
            there["Config"]["Labels"][labels::PROJECT].as_str() != Some(scene.project.name.as_str())
        }),
        Some(404) => {
            let image = names::image(&scene.project.name, making.service, scene.separator);
            scene.client.image_inspect(&image, Query::new()).await.is_err_and(|err| err.is_not_found())
        }
        _ => false,
    }
}

/// `links` and `external_links` as the engine knows them; `of` tells the names of a service's containers.
pub(crate) fn links(
    scene: &crate::Scene<'_>,
    service: &Service,
    number: u32,
    of: impl Fn(&str) -> Vec<String>,
) -> Vec<String> {
    let project = &scene.project.name;
    let mut all = Vec::new();
    for link in &service.links {
        let (name, alias) = link.split_once(':').unwrap_or((link, link));
        for container in of(name) {
            let separator = scene.separator.as_str();
            all.push(format!("{container}:{alias}"));
            all.push(format!("{container}:{name}{separator}{number}"));
            all.push(format!("{container}:{}", names::usual(project, name, number, scene.separator)));
        }
    }
    for link in &service.external_links {
        let (name, alias) = link.split_once(':').unwrap_or((link, link));
        all.push(format!("{name}:{alias}"));
    }
    all
}
