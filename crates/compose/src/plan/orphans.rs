//! Containers whose service is not in the file.

use super::Planner;
use crate::containers::{Container, State};

impl Planner<'_> {
    pub(super) fn orphans(&mut self) {
        let observed = self.observed;
        for container in &observed.containers {
            if !is_orphan(self.project, container) {
                continue;
            }
            if self.options.remove_orphans {
                self.remove(container, "its service is not in the file");
            } else {
                self.plan.orphans.push(container.name.clone());
            }
        }
    }
}

/// Whether a container has no service in the file, or is what `run` left.
pub(crate) fn is_orphan(project: &gantry_compose_file::project::Project, container: &Container) -> bool {
    if container.is_one_off() {
        return matches!(container.state, State::Exited | State::Dead);
    }
    project.service(&container.service).is_none()
}
