//! Which of a project's services are on.

use std::collections::BTreeSet;

use crate::project::{MountKind, Project, Service};

impl Service {
    /// Whether one of its profiles is on, or it has none.
    pub fn is_on(&self, profiles: &[String]) -> bool {
        self.profiles.is_empty()
            || profiles.iter().any(|profile| profile == "*" || self.profiles.contains(profile))
    }
}

impl Project {
    /// Divides the services by the profiles that are on.
    pub(crate) fn enable_profiles(&mut self) {
        let mut all = std::mem::take(&mut self.services);
        all.append(&mut self.disabled);
        for (name, service) in all {
            let home = if service.is_on(&self.profiles) { &mut self.services } else { &mut self.disabled };
            home.insert(name, service);
        }
    }

    /// Turns on the profiles of services that the user names.
    pub fn enable(&mut self, names: &[String]) {
        let profiles: Vec<String> = names
            .iter()
            .filter_map(|name| self.disabled.get(name))
            .flat_map(|service| service.profiles.clone())
            .collect();
        if !profiles.is_empty() {
            self.profiles.extend(profiles);
            self.enable_profiles();
        }
    }

    /// Leaves only these services and what they depend on; no names leave all. The others count as off.
    pub fn select(&mut self, names: &[String]) -> Result<(), String> {
        if names.is_empty() {
            return Ok(());
        }
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        let mut waiting: Vec<(String, bool)> = names.iter().map(|name| (name.clone(), true)).collect();
        while let Some((name, required)) = waiting.pop() {
            let Some(service) = self.services.get(&name) else {
                match required {
                    true => return Err(format!("no such service: {name}")),
                    false => continue,
                }
            };
            if wanted.insert(name) {
                let needs = service.depends_on.iter();
                waiting.extend(needs.map(|(name, dependency)| (name.clone(), dependency.required)));
            }
        }
        let all = std::mem::take(&mut self.services);
        for (name, mut service) in all {
            if wanted.contains(&name) {
                service.depends_on.retain(|name, _| wanted.contains(name));
                self.services.insert(name, service);
            } else {
                self.disabled.insert(name, service);
            }
        }
        Ok(())
    }

    /// Drops networks, volumes, secrets, configs and models that no service which is on uses.
    pub fn drop_unused(&mut self) {
        let Self { services, networks, volumes, secrets, configs, models, .. } = self;
        let any = |used: &dyn Fn(&Service) -> bool| services.values().any(used);
        networks.retain(|name, _| any(&|service| service.networks.contains_key(name)));
        volumes.retain(|name, _| {
            any(&|service| {
                service.volumes.iter().any(|mount| mount.kind == MountKind::Volume && mount.source == *name)
            })
        });
        secrets.retain(|name, _| {
            any(&|service| {
                let build = service.build.iter().flat_map(|build| &build.secrets);
                service.secrets.iter().chain(build).any(|grant| grant.source == *name)
            })
        });
        configs.retain(|name, _| any(&|service| service.configs.iter().any(|grant| grant.source == *name)));
        models.retain(|name, _| any(&|service| service.models.contains_key(name)));
    }
}
