//! A project without its files, from the labels of what it left on the engine: enough to stop it and to take it away.

use std::collections::BTreeMap;

use gantry_compose_file::project::{Condition, Dependency, Network, Project, Service, Volume};

use crate::labels;
use crate::observe::{Observed, label};

/// The project called `name`, as far as the engine knows it.
pub fn project(name: &str, observed: &Observed) -> Project {
    let mut project = Project::default();
    name.clone_into(&mut project.name);
    for container in observed.containers.iter().filter(|c| !c.is_one_off()) {
        if project.working_dir.is_empty() {
            container.label(labels::WORKING_DIR).clone_into(&mut project.working_dir);
            let files = container.label(labels::CONFIG_FILES).split(',');
            project.files = files.filter(|f| !f.is_empty()).map(str::to_owned).collect();
        }
        let service = project.services.entry(container.service.clone()).or_insert_with(|| Service {
            name: container.service.clone(),
            depends_on: dependencies(container.label(labels::DEPENDS_ON)),
            scale: Some(0),
            ..Service::default()
        });
        service.scale = service.scale.map(|n| n + 1);
        container.summary["Image"].as_str().unwrap_or_default().clone_into(&mut service.image);
    }
    for network in &observed.networks {
        if label(&network.labels, labels::PROJECT) == name {
            let key = label(&network.labels, labels::NETWORK).to_owned();
            project.networks.insert(key, Network { name: network.name.clone(), ..Network::default() });
        }
    }
    for volume in &observed.volumes {
        if label(&volume.labels, labels::PROJECT) == name {
            let key = label(&volume.labels, labels::VOLUME).to_owned();
            project.volumes.insert(key, Volume { name: volume.name.clone(), ..Volume::default() });
        }
    }
    project
}

/// `db:service_healthy:false,cache:service_started:true`
fn dependencies(text: &str) -> BTreeMap<String, Dependency> {
    let mut all = BTreeMap::new();
    for part in text.split(',').filter(|p| !p.is_empty()) {
        let mut words = part.split(':');
        let name = words.next().unwrap_or_default().to_owned();
        let condition = match words.next() {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::CompletedSuccessfully,
            _ => Condition::Started,
        };
        let restart = words.next() == Some("true");
        all.insert(name, Dependency { condition, restart, required: false, ..Dependency::default() });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_back_from_their_label() {
        let all = dependencies("db:service_healthy:true,cache:service_started:false");
        assert_eq!(all["db"].condition, Condition::Healthy);
        assert!(all["db"].restart && !all["cache"].restart && !all["db"].required);
        assert!(dependencies("").is_empty());
    }
}
