//! A service's containers: how many, which are out of date, and how each one is replaced.

use std::cmp::Reverse;

use gantry_compose_file::project::{Data, MountKind, NetworkOfService, Service, UpdateOrder};

use super::{Operation, Planner, Recreate, StepId};
use crate::containers::{Container, State};
use crate::failed::Failed;
use crate::{hash, labels, names, references};

/// What a service's containers are measured against.
struct Wanted<'s> {
    service: &'s Service,
    hash: String,
    image: String,
    recreate: Recreate,
    /// A container that this one is bound to by id is made anew.
    parent_recreated: bool,
}

impl<'a> Planner<'a> {
    pub(super) fn service(&mut self, service: &'a Service) -> Result<(), Failed> {
        let replicas = service.replicas().max(0) as usize;
        if replicas > 1 && !service.container_name.is_empty() {
            let name = service.container_name.clone();
            return Err(Failed::OneNameForMany { service: service.name.clone(), name });
        }
        let wanted = self.wanted(service);
        let observed = self.observed;
        let mut there: Vec<&Container> =
            observed.of_service(&service.name).filter(|c| !self.removed.contains_key(&c.id)).collect();
        // Those that stay come first, and of those the lowest numbers: what is too much is the newest.
        there.sort_by_key(|c| (self.outdated(&wanted, c).is_some(), c.number, Reverse(c.created)));
        let mut last = self.repair(service, &mut there);
        let mut stands_on = self.stands_on(service);
        // What is removed may have a name that is wanted again.
        stands_on.extend(&last);
        for (at, container) in there.iter().enumerate() {
            if at >= replicas {
                last.push(self.remove(container, "scale down"));
            } else if let Some(cause) = self.outdated(&wanted, container) {
                self.recreated.insert(service.name.clone());
                last.push(self.recreate(&wanted, container, &cause, &stands_on));
            } else {
                if container.is_running() {
                    self.plan.untouched.push(container.name.clone());
                }
                // Its name is free only when what had it is gone.
                if names::without_interim(&container.name) != container.name {
                    last.push(self.finish_recreate(container, &last.clone()));
                }
            }
        }
        let mut number = observed.of_service(&service.name).map(|c| c.number).max().unwrap_or(0);
        // Numbers of what was removed for a volume's sake are free again.
        if there.is_empty() {
            number = 0;
        }
        for _ in there.len()..replicas {
            number += 1;
            let operation = Operation::CreateContainer {
                service: service.name.clone(),
                number,
                name: names::container(&self.project.name, service, number, self.separator),
                replaces: None,
                inherit: false,
                takes_ports: false,
            };
            let mut after = stands_on.clone();
            after.extend(self.removed_of(&service.name));
            last.push(self.plan.add(operation, "no existing container", &after));
        }
        self.service_steps.insert(service.name.clone(), last);
        Ok(())
    }

    /// The steps that remove containers of a service whose names are wanted again.
    fn removed_of(&self, service: &str) -> Vec<StepId> {
        let observed = self.observed;
        observed.of_service(service).filter_map(|c| self.removed.get(&c.id)).copied().collect()
    }

    fn wanted<'s>(&self, service: &'s Service) -> Wanted<'s> {
        let observed = self.observed;
        let first = |name: &str| {
            let mut all: Vec<&Container> = observed.of_service(name).collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all.first().map(|c| c.id.clone())
        };
        // Where the other container is not there yet, no hash can fit, and none has to.
        let resolved = references::resolve(service, first).unwrap_or_else(|_| service.clone());
        let named = self.options.services.is_empty() || self.options.services.contains(&service.name);
        let image = names::image(&self.project.name, service, self.separator);
        Wanted {
            service,
            hash: hash::service(&resolved),
            image: self.images.get(&image).map(|facts| facts.id.clone()).unwrap_or_default(),
            recreate: if named { self.options.recreate } else { self.options.recreate_dependencies },
            parent_recreated: references::parents(service).iter().any(|p| self.recreated.contains(p)),
        }
    }

    /// Why a container has to be made anew, if it has to.
    fn outdated(&self, wanted: &Wanted<'_>, container: &Container) -> Option<String> {
        match wanted.recreate {
            Recreate::Never => return None,
            Recreate::Force => return Some("forced".into()),
            Recreate::Diverged => {}
        }
        if container.state == State::Dead {
            return Some("it is dead".into());
        }
        if wanted.parent_recreated {
            return Some("a container that it shares with is recreated".into());
        }
        let label = container.label(labels::CONFIG_HASH);
        if container.is_of_compose_1() {
            // Its hash is over the image as well.
            let image = Some(wanted.image.as_str()).filter(|id| !id.is_empty());
            let containers = |name: &str| self.observed.shared(name);
            if hash::first(self.project, &wanted.service.name, image, &containers).as_deref() != Some(label) {
                return Some("its configuration changed".into());
            }
            return self.missing_volume(wanted.service, container).map(not_mounted);
        }
        if label != wanted.hash {
            return Some("its configuration changed".into());
        }
        let image = container.label(labels::IMAGE);
        if !wanted.image.is_empty() && image != wanted.image {
            return Some("its image changed".into());
        }
        if container.is_running()
            && let Some(network) = self.missing_network(wanted.service, container)
        {
            return Some(format!("it is not in network {network}"));
        }
        self.missing_volume(wanted.service, container).map(not_mounted)
    }

    fn missing_network(&self, service: &Service, container: &Container) -> Option<String> {
        let missing = |key: &&String| {
            let Some(network) = self.project.networks.get(*key) else { return false };
            // One that is made anew takes its containers along.
            if self.network_steps.contains_key(*key) {
                return false;
            }
            let there = self.observed.network(&self.project.name, key, &network.name);
            there.is_some_and(|there| !container.networks.values().any(|id| *id == there.id))
        };
        service.networks.keys().find(missing).cloned()
    }

    fn missing_volume(&self, service: &Service, container: &Container) -> Option<String> {
        let named = service.volumes.iter().filter(|m| m.kind == MountKind::Volume && !m.source.is_empty());
        let mut names = named.filter_map(|m| self.project.volumes.get(&m.source)).map(|v| &v.name);
        let mounted = |name: &String| container.mounts.iter().any(|m| m.kind == "volume" && m.name == *name);
        names.find(|name| self.observed.volume(name).is_some() && !mounted(name)).cloned()
    }

    /// What a service's container needs before it is made.
    fn stands_on(&self, service: &Service) -> Vec<StepId> {
        let networks = service.networks.keys().filter_map(|key| self.network_steps.get(key));
        let volumes = service.volumes.iter().filter_map(|m| self.volume_steps.get(&m.source));
        let mut all: Vec<StepId> = networks.chain(volumes).copied().collect();
        let linked = service.links.iter().filter_map(|link| link.split(':').next()).map(str::to_owned);
        for name in references::parents(service).into_iter().chain(linked) {
            all.extend(self.service_steps.get(&name).into_iter().flatten());
        }
        all
    }

    /// Of two containers with one number, which an interrupted run leaves, the better one stays.
    fn repair(&mut self, service: &Service, there: &mut Vec<&Container>) -> Vec<StepId> {
        let mut steps = Vec::new();
        let mut kept: Vec<&Container> = Vec::new();
        let mut all = std::mem::take(there);
        if starts_first(service) {
            // The one that was to take a place without a lost request never got as far as its name: once more.
            all.sort_by_key(|c| names::without_interim(&c.name) != c.name);
        }
        for container in all {
            match kept.iter().any(|k| k.number == container.number && container.number > 0) {
                false => kept.push(container),
                true => steps.push(self.remove(container, "left by an interrupted run")),
            }
        }
        *there = kept;
        steps
    }

    fn finish_recreate(&mut self, container: &Container, after: &[StepId]) -> StepId {
        let name = names::without_interim(&container.name).to_owned();
        let operation = Operation::RenameContainer { container: container.into(), name };
        self.plan.add(operation, "finish an interrupted recreate", after)
    }

    fn recreate(
        &mut self,
        wanted: &Wanted<'_>,
        old: &Container,
        cause: &str,
        stands_on: &[StepId],
    ) -> StepId {
        let service = wanted.service;
        let mut after = stands_on.to_vec();
        after.extend(self.stop_dependents(service));
        let right_name = names::container(&self.project.name, service, old.number, self.separator);
        let group = Some(right_name.clone());
        let group = group.as_deref();
        let first = self.goes_first(service, old);
        let create = Operation::CreateContainer {
            service: service.name.clone(),
            number: old.number,
            name: names::interim(&old.id, &right_name),
            replaces: Some(old.into()),
            inherit: !self.options.renew_anonymous,
            takes_ports: first && !service.ports.is_empty(),
        };
        let created = self.plan.add_to(group, create, cause, &after);
        let because = format!("replaced by step {}", created + 1);
        let mut ready = created;
        if first {
            let start = Operation::StartCreated { created, service: service.name.clone() };
            ready = self.plan.add_to(group, start, "the new one first", &[created]);
        }
        let stopped = match self.stopped.get(&old.id) {
            Some(step) => *step,
            None => {
                let stop = Operation::StopContainer { container: old.into(), timeout: self.options.timeout };
                let step = self.plan.add_to(group, stop, because.clone(), &[ready]);
                self.stopped.insert(old.id.clone(), step);
                step
            }
        };
        let mut before = vec![created, stopped];
        before.extend(self.connected.get(&old.id).into_iter().flatten());
        let remove = Operation::RemoveContainer { container: old.into() };
        let removed = self.plan.add_to(group, remove, because, &before);
        let rename = Operation::RenameCreated { created, name: right_name.clone() };
        self.plan.add_to(group, rename, "it is alone now", &[removed])
    }

    /// Whether the new container starts while the old one still serves. What stands in the way is told.
    fn goes_first(&mut self, service: &Service, old: &Container) -> bool {
        if !starts_first(service) || !old.is_running() || self.stopped.contains_key(&old.id) {
            return false;
        }
        let place = |p: &&NetworkOfService| !p.ipv4_address.is_empty() || !p.ipv6_address.is_empty();
        let why = match () {
            () if !service.ports.is_empty() && !self.observed.hands_over => {
                "publishes ports, and this engine cannot hand a port from one container to another"
            }
            () if service.networks.values().flatten().any(|p| place(&p)) => "has an address of its own",
            () if service.network_mode == "host" => "is in the host's network",
            () => return true,
        };
        self.plan.warnings.push(format!(
            "service {:?} {why}: its old container stops before the new one starts, not start-first",
            service.name
        ));
        false
    }

    /// Those who asked to restart with this service stop first and start again behind it.
    fn stop_dependents(&mut self, service: &Service) -> Vec<StepId> {
        let asks = |s: &&Service| s.depends_on.get(&service.name).is_some_and(|d| d.restart);
        let dependents: Vec<String> =
            self.project.services.values().filter(asks).map(|s| s.name.clone()).collect();
        let cause = format!("its dependency {} is recreated", service.name);
        let containers = self.containers_of(&dependents);
        containers.iter().filter(|c| c.is_running()).map(|c| self.stop(c, &cause, &[])).collect()
    }
}

fn not_mounted(volume: String) -> String {
    format!("it has not mounted {volume}")
}

/// Whether the new container is to be well before the old one goes.
pub fn starts_first(service: &Service) -> bool {
    let update = service.deploy.as_ref().and_then(|d| d.update_config.as_ref());
    match service.extensions.get("x-gantry-update") {
        Some(Data::Text(word)) => word == "start-first",
        Some(Data::Map(map)) => map.get("order") == Some(&Data::Text("start-first".into())),
        _ => update.and_then(|u| u.order) == Some(UpdateOrder::StartFirst),
    }
}
