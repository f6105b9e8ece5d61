//! What has to fit together across a project: everything that does not is told at once.

use std::collections::BTreeMap;

use crate::load::{Problem, Problems};
use crate::project::{MountKind, Project, Service, Source, WatchAction};
use crate::tree::{FileError, Node};

/// Checks a typed project; `tree` gives the places. Makes `scale` and `deploy.replicas` say the same.
pub(crate) fn check(project: &mut Project, tree: &Node) -> Result<(), Problems> {
    let mut told = Told { tree, problems: Vec::new() };
    for service in project.services.values() {
        told.service(project, service);
    }
    for (name, secret) in &project.secrets {
        if matches!(secret.source, Source::Unsaid | Source::Content(_)) {
            let message = format!(
                "secret {name:?} must declare either `file` or `environment`: invalid compose project"
            );
            told.tell(&["secrets", name], message);
        }
    }
    told.cycles(project);
    told.container_names(project);
    if !told.problems.is_empty() {
        return Err(Problems(told.problems));
    }
    for service in project.services.values_mut() {
        if let (Some(scale), Some(deploy)) = (service.scale, &mut service.deploy) {
            deploy.replicas = Some(scale);
        }
    }
    Ok(())
}

struct Told<'a> {
    tree: &'a Node,
    problems: Vec<Problem>,
}

impl Told<'_> {
    /// Tells of a problem at the nearest place that the files have for it.
    fn tell(&mut self, path: &[&str], message: impl Into<String>) {
        let mut node = self.tree;
        for key in path {
            match node.as_map().and_then(|map| map.get(key)) {
                Some(below) => node = below,
                None => break,
            }
        }
        self.problems.push(Problem::At(FileError::new(&node.at, message)));
    }

    fn service(&mut self, project: &Project, service: &Service) {
        let name = service.name.as_str();
        let at = ["services", name];
        if service.build.is_none() && service.image.is_empty() && service.provider.is_none() {
            let message = format!(
                "service {name:?} has neither an image nor a build context specified: invalid compose project"
            );
            self.tell(&at, message);
        }
        self.build(project, service);
        if !service.network_mode.is_empty() && !service.networks.is_empty() {
            let message = format!(
                "service {name} declares mutually exclusive `network_mode` and `networks`: invalid compose project"
            );
            self.tell(&["services", name, "network_mode"], message);
        }
        if let Some(test) = service.healthcheck.as_ref().and_then(|check| check.test.first())
            && !matches!(test.as_str(), "CMD" | "CMD-SHELL" | "NONE")
        {
            let message = r#"healthcheck.test must start either by "CMD", "CMD-SHELL" or "NONE""#;
            self.tell(&["services", name, "healthcheck", "test"], message);
        }
        self.references(project, service);
        self.limits(service);
        self.mounts(service);
        let watch = service.develop.iter().flat_map(|develop| &develop.watch);
        for trigger in watch {
            if trigger.target.is_empty()
                && !matches!(trigger.action, WatchAction::Rebuild | WatchAction::Restart)
            {
                let message = format!(
                    "services.{name}.develop.watch: target is required for non-rebuild actions: invalid compose project"
                );
                self.tell(&["services", name, "develop", "watch"], message);
            }
        }
    }

    fn build(&mut self, project: &Project, service: &Service) {
        let Some(build) = &service.build else { return };
        let name = service.name.as_str();
        let at = ["services", name, "build"];
        if !build.dockerfile_inline.is_empty() && !build.dockerfile.is_empty() {
            let message = format!(
                "service {name:?} declares mutualy exclusive dockerfile and dockerfile_inline: invalid compose project"
            );
            self.tell(&at, message);
        }
        for (context, source) in &build.additional_contexts {
            let Some(other) = source.strip_prefix("service:") else { continue };
            let message = match project.services.get(other) {
                None => "unknown",
                Some(other) if other.build.is_none() => "non-buildable",
                Some(_) => continue,
            };
            let message = format!(
                "service {name:?} declares {message} service {other:?} as additional contexts {context}"
            );
            self.tell(&["services", name, "build", "additional_contexts", context], message);
        }
        if !build.platforms.is_empty()
            && !service.platform.is_empty()
            && !build.platforms.contains(&service.platform)
        {
            let message = format!(
                "service.build.platforms MUST include service.platform {:?}: invalid compose project",
                service.platform
            );
            self.tell(&at, message);
        }
        for secret in build.secrets.iter().filter(|secret| !project.secrets.contains_key(&secret.source)) {
            self.undefined(service, &["build", "secrets"], "build secret", &secret.source);
        }
    }

    fn undefined(&mut self, service: &Service, path: &[&str], kind: &str, other: &str) {
        let message =
            format!("service {:?} refers to undefined {kind} {other}: invalid compose project", service.name);
        self.tell(&[&["services", &service.name], path].concat(), message);
    }

    fn references(&mut self, project: &Project, service: &Service) {
        let name = service.name.as_str();
        for network in service.networks.keys().filter(|key| !project.networks.contains_key(*key)) {
            self.undefined(service, &["networks", network], "network", network);
        }
        for (other, dependency) in &service.depends_on {
            let off = project.disabled.contains_key(other) && !dependency.required;
            if !project.services.contains_key(other) && !off {
                let message = format!(
                    "service {name:?} depends on undefined service {other:?}: invalid compose project"
                );
                self.tell(&["services", name, "depends_on", other], message);
            }
        }
        if let Some(other) = service.network_mode.strip_prefix("service:")
            && !project.services.contains_key(other)
        {
            let message = format!("service {other:?} not found for network_mode 'service:{other}'");
            self.tell(&["services", name, "network_mode"], message);
        }
        for mount in &service.volumes {
            let named = mount.kind == MountKind::Volume && !mount.source.is_empty();
            if named && !project.volumes.contains_key(&mount.source) {
                self.undefined(service, &["volumes"], "volume", &mount.source);
            }
        }
        for config in service.configs.iter().filter(|config| !project.configs.contains_key(&config.source)) {
            self.undefined(service, &["configs"], "config", &config.source);
        }
        for model in service.models.keys().filter(|model| !project.models.contains_key(*model)) {
            self.undefined(service, &["models"], "model", model);
        }
        for secret in service.secrets.iter().filter(|secret| !project.secrets.contains_key(&secret.source)) {
            self.undefined(service, &["secrets"], "secret", &secret.source);
        }
    }

    fn limits(&mut self, service: &Service) {
        let name = service.name.as_str();
        let replicas = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
        let mut told = Vec::new();
        let mut distinct = |one: &str, other: &str| {
            told.push(format!(
                "services.{name}: can't set distinct values on '{one}' and '{other}': invalid compose project"
            ));
        };
        if let (Some(scale), Some(replicas)) = (service.scale, replicas)
            && scale != replicas
        {
            distinct("scale", "deploy.replicas");
        }
        let resources = service.deploy.as_ref().map(|deploy| &deploy.resources);
        if let Some(limits) = resources.and_then(|resources| resources.limits.as_ref()) {
            let pairs = [
                ("cpus", "deploy.resources.limits.cpus", service.cpus != 0.0 && service.cpus != limits.cpus),
                (
                    "mem_limit",
                    "deploy.resources.limits.memory",
                    service.mem_limit.0 != 0 && service.mem_limit != limits.memory,
                ),
                (
                    "pids_limit",
                    "deploy.resources.limits.pids",
                    service.pids_limit != 0 && service.pids_limit != limits.pids,
                ),
            ];
            pairs.into_iter().filter(|pair| pair.2).for_each(|pair| distinct(pair.0, pair.1));
        }
        if let Some(reserved) = resources.and_then(|resources| resources.reservations.as_ref())
            && service.mem_reservation.0 != 0
            && service.mem_reservation != reserved.memory
        {
            distinct("mem_reservation", "deploy.resources.reservations.memory");
        }
        for (attribute, count) in [("scale", service.scale), ("deploy.replicas", replicas)] {
            if count.is_some_and(|count| count < 0) {
                told.push(format!("services.{name}.{attribute}: must be greater than or equal to 0"));
            }
        }
        if service.replicas() > 1 && !service.container_name.is_empty() {
            let attribute = if service.scale.is_some() { "scale" } else { "deploy.replicas" };
            told.push(format!(
                "services.{name}: can't set container_name and {attribute} as container name must be unique: invalid compose project"
            ));
        }
        for message in told {
            self.tell(&["services", name], message);
        }
    }

    fn mounts(&mut self, service: &Service) {
        let name = service.name.as_str();
        let tmpfs = service.tmpfs.iter().enumerate().map(|(index, tmpfs)| {
            let target = tmpfs.split(':').next().unwrap_or_default();
            (format!("services.{name}.tmpfs[{index}]"), target)
        });
        let volumes = service.volumes.iter().enumerate();
        let volumes = volumes
            .map(|(index, mount)| (format!("services.{name}.volumes[{index}]"), mount.target.as_str()));
        let mut taken: BTreeMap<&str, String> = BTreeMap::new();
        for (place, target) in tmpfs.chain(volumes) {
            if let Some(other) = taken.get(target) {
                let message = format!("{place}: target {target} already mounted as {other}");
                self.tell(&["services", name, "volumes"], message);
            }
            taken.insert(target, place);
        }
    }

    /// Circles of `depends_on`, each told once, from its first service by name.
    fn cycles(&mut self, project: &Project) {
        let mut done: Vec<&str> = Vec::new();
        for name in project.services.keys() {
            let mut way = Vec::new();
            if let Some(circle) = circle(project, name, &mut way, &mut done) {
                let message = format!("dependency cycle detected: {}", circle.join(" -> "));
                self.tell(&["services", circle[0], "depends_on"], message);
            }
        }
    }

    fn container_names(&mut self, project: &Project) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for service in project.services.values().filter(|service| !service.container_name.is_empty()) {
            if let Some(other) = seen.insert(&service.container_name, &service.name) {
                let message = format!(
                    "container name {:?} is already in use by service {other}: invalid compose project",
                    service.container_name
                );
                self.tell(&["services", &service.name, "container_name"], message);
            }
        }
    }
}

fn circle<'a>(
    project: &'a Project,
    name: &'a str,
    way: &mut Vec<&'a str>,
    done: &mut Vec<&'a str>,
) -> Option<Vec<&'a str>> {
    if let Some(start) = way.iter().position(|seen| *seen == name) {
        let mut found = way[start..].to_vec();
        found.push(name);
        return Some(found);
    }
    if done.contains(&name) {
        return None;
    }
    way.push(name);
    let service = project.services.get(name);
    let needs = service.into_iter().flat_map(|service| service.depends_on.keys());
    let found = needs.into_iter().find_map(|other| circle(project, other, way, done));
    way.pop();
    done.push(name);
    found
}
