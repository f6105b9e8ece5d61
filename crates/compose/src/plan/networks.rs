//! Networks: made where they are missing, made anew where they changed. They hold no data, so nobody is asked.

use super::{Operation, Planner, StepId};
use crate::containers::Container;
use crate::failed::Failed;
use crate::observe::{ObservedNetwork, label};
use crate::{hash, labels};

impl<'a> Planner<'a> {
    pub(super) fn networks(&mut self) -> Result<(), Failed> {
        for (key, network) in &self.project.networks {
            let there = self.observed.network(&self.project.name, key, &network.name);
            if network.external {
                // An external network may be given by its id.
                let known =
                    self.observed.networks.iter().any(|n| n.name == network.name || n.id == network.name);
                if !known {
                    return Err(Failed::NoNetwork(network.name.clone()));
                }
                continue;
            }
            let Some(there) = there else {
                let step = self.create_network(key, "not found", &[]);
                self.network_steps.insert(key.clone(), step);
                continue;
            };
            let owner = label(&there.labels, labels::PROJECT);
            if owner != self.project.name {
                let not_for = if owner.is_empty() {
                    "by compose".to_owned()
                } else {
                    format!("for project {:?}", self.project.name)
                };
                self.plan.warnings.push(format!(
                    "a network with name {} exists but was not created {not_for}.\nSet `external: true` to use an existing network",
                    network.name
                ));
                continue;
            }
            let was = label(&there.labels, labels::CONFIG_HASH);
            if !was.is_empty() && was != hash::network(network) {
                self.recreate_network(key, there);
            }
        }
        Ok(())
    }

    fn create_network(&mut self, key: &str, cause: &str, after: &[StepId]) -> StepId {
        let name = self.project.networks[key].name.clone();
        self.plan.add(Operation::CreateNetwork { key: key.to_owned(), name }, cause, after)
    }

    /// Stop, disconnect, remove, create, connect: the containers stay who they are.
    fn recreate_network(&mut self, key: &str, there: &ObservedNetwork) {
        let users: Vec<String> = self
            .project
            .services
            .values()
            .filter(|s| s.networks.contains_key(key))
            .map(|s| s.name.clone())
            .collect();
        let inside = |c: &&&'a Container| c.networks.values().any(|id| *id == there.id);
        let containers: Vec<&Container> = self.containers_of(&users).iter().filter(inside).copied().collect();
        let renamed = there.name != self.project.networks[key].name;
        let cause = format!("network {key} changed");
        let mut apart = Vec::new();
        for container in &containers {
            let stopped = self.stop(container, &cause, &[]);
            let operation =
                Operation::Disconnect { container: (*container).into(), network: there.name.clone() };
            apart.push(self.plan.add(operation, cause.clone(), &[stopped]));
        }
        let gone = Operation::RemoveNetwork { name: there.name.clone(), best_effort: renamed };
        let why = if renamed { "renamed" } else { "its configuration changed" };
        let gone = self.plan.add(gone, why, &apart);
        let before: &[StepId] = if renamed { &[] } else { &[gone] };
        let made = self.create_network(key, why, before);
        self.network_steps.insert(key.to_owned(), made);
        for (container, apart) in containers.iter().zip(apart) {
            let operation = Operation::Connect {
                container: (*container).into(),
                network: self.project.networks[key].name.clone(),
                key: key.to_owned(),
            };
            let step = self.plan.add(operation, cause.clone(), &[made, apart]);
            self.connected.entry(container.id.clone()).or_default().push(step);
        }
    }
}
