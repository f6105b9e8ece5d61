//! Volumes: made where they are missing; made anew only where a person agreed to lose what is in them.

use std::collections::BTreeSet;

use gantry_compose_file::project::{MountKind, Project};

use super::{Operation, Planner, StepId};
use crate::failed::Failed;
use crate::observe::{Observed, label};
use crate::{hash, labels};

/// The volumes, by the file's name, whose settings changed: a person has to be asked.
pub fn diverged(project: &Project, observed: &Observed) -> Vec<String> {
    let changed = project.volumes.iter().filter(|(_, volume)| {
        let Some(there) = observed.volume(&volume.name) else { return false };
        let was = label(&there.labels, labels::CONFIG_HASH);
        let owned = label(&there.labels, labels::PROJECT) == project.name;
        !volume.external && owned && !was.is_empty() && was != hash::volume(volume)
    });
    changed.map(|(key, _)| key.clone()).collect()
}

impl Planner<'_> {
    pub(super) fn volumes(&mut self) -> Result<(), Failed> {
        for (key, volume) in &self.project.volumes {
            let Some(there) = self.observed.volume(&volume.name) else {
                if volume.external {
                    return Err(Failed::NoVolume(volume.name.clone()));
                }
                let step = self.create_volume(key, "not found", &[]);
                self.volume_steps.insert(key.clone(), step);
                continue;
            };
            let owner = label(&there.labels, labels::PROJECT);
            if volume.external || owner == self.project.name {
                continue;
            }
            let whose = if owner.is_empty() {
                "was not created by Docker Compose".to_owned()
            } else {
                format!("was created for project {owner:?} (expected {:?})", self.project.name)
            };
            self.plan.warnings.push(format!(
                "volume {:?} already exists but {whose}. Use `external: true` to use an existing volume",
                volume.name
            ));
        }
        self.recreate_volumes();
        Ok(())
    }

    fn create_volume(&mut self, key: &str, cause: &str, after: &[StepId]) -> StepId {
        let name = self.project.volumes[key].name.clone();
        self.plan.add(Operation::CreateVolume { key: key.to_owned(), name }, cause, after)
    }

    /// A volume that any container names, even a stopped one, cannot go: so its users go first.
    fn recreate_volumes(&mut self) {
        let changed = diverged(self.project, self.observed);
        let agreed: Vec<String> =
            self.options.recreate_volumes.iter().filter(|key| changed.contains(key)).cloned().collect();
        if agreed.is_empty() {
            return;
        }
        let mut users = BTreeSet::new();
        for key in &agreed {
            users.extend(self.users_of(key));
        }
        let users: Vec<String> = users.into_iter().collect();
        let containers = self.containers_of(&users);
        let gone: Vec<StepId> = containers.iter().map(|c| self.remove(c, "a volume of it changed")).collect();
        for key in agreed {
            let name = self.project.volumes[&key].name.clone();
            let removed = self.plan.add(Operation::RemoveVolume { name }, "its configuration changed", &gone);
            let made = self.create_volume(&key, "its configuration changed", &[removed]);
            self.volume_steps.insert(key, made);
        }
        self.recreated.extend(users);
    }

    /// The services that mount a volume, themselves or by `volumes_from`.
    fn users_of(&self, key: &str) -> BTreeSet<String> {
        let services = || self.project.services.values();
        let mounts = |s: &&gantry_compose_file::project::Service| {
            s.volumes.iter().any(|m| m.kind == MountKind::Volume && m.source == key)
        };
        let mut users: BTreeSet<String> = services().filter(mounts).map(|s| s.name.clone()).collect();
        loop {
            let before = users.len();
            for service in services() {
                let from = service.volumes_from.iter().filter_map(|from| from.split(':').next());
                if from.into_iter().any(|name| users.contains(name)) {
                    users.insert(service.name.clone());
                }
            }
            if users.len() == before {
                return users;
            }
        }
    }
}
