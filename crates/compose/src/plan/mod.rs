//! What has to be done, each operation with its cause and with what comes before it. No I/O.

mod networks;
mod orphans;
mod services;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gantry_compose_file::project::Project;

use crate::containers::Container;
use crate::failed::Failed;
use crate::names::Separator;
use crate::observe::Observed;
use crate::order::Order;
use crate::scene::Images;

pub(crate) use orphans::is_orphan;
pub use services::starts_first;
pub use volumes::diverged as diverged_volumes;

/// When a container is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recreate {
    /// When its settings, its image or what it stands on changed.
    #[default]
    Diverged,
    /// Always.
    Force,
    /// Never.
    Never,
}

/// How to go about it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The services that were named; none: all.
    pub services: Vec<String>,
    /// For those.
    pub recreate: Recreate,
    /// For their dependencies.
    pub recreate_dependencies: Recreate,
    /// Anonymous volumes are made anew, too.
    pub renew_anonymous: bool,
    /// The patience of a stop, in seconds; none: the container's own.
    pub timeout: Option<i64>,
    /// Containers of services that are no more are removed.
    pub remove_orphans: bool,
    /// Volumes (by the file's name) that may be made anew though their data is lost.
    pub recreate_volumes: Vec<String>,
}

/// A container that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its service.
    pub service: String,
}

impl From<&Container> for Existing {
    fn from(container: &Container) -> Existing {
        Existing {
            id: container.id.clone(),
            name: container.name.clone(),
            service: container.service.clone(),
        }
    }
}

/// An operation's place in its plan.
pub type StepId = usize;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Makes a network of the project.
    CreateNetwork {
        /// The file's name for it.
        key: String,
        /// The engine's name.
        name: String,
    },
    /// Removes a network.
    RemoveNetwork {
        /// Its name.
        name: String,
        /// One that is still in use may stay.
        best_effort: bool,
    },
    /// Takes a container out of a network.
    Disconnect {
        /// The container.
        container: Existing,
        /// The network's name.
        network: String,
    },
    /// Puts a container into a network.
    Connect {
        /// The container.
        container: Existing,
        /// The network's name.
        network: String,
        /// The file's name for it.
        key: String,
    },
    /// Makes a volume of the project.
    CreateVolume {
        /// The file's name for it.
        key: String,
        /// The engine's name.
        name: String,
    },
    /// Removes a volume.
    RemoveVolume {
        /// Its name.
        name: String,
    },
    /// Makes a container.
    CreateContainer {
        /// Its service.
        service: String,
        /// Which of the service's.
        number: u32,
        /// Its name.
        name: String,
        /// The one whose place it takes.
        replaces: Option<Existing>,
        /// Whether it gets that one's anonymous volumes.
        inherit: bool,
        /// Whether it gets that one's published ports when that one is stopped.
        takes_ports: bool,
    },
    /// Stops a container.
    StopContainer {
        /// The container.
        container: Existing,
        /// Seconds; none: its own.
        timeout: Option<i64>,
    },
    /// Removes a container.
    RemoveContainer {
        /// The container.
        container: Existing,
    },
    /// Gives the container that a step made its name.
    RenameCreated {
        /// The step.
        created: StepId,
        /// The name.
        name: String,
    },
    /// Gives a container that an interrupted run left its name.
    RenameContainer {
        /// The container.
        container: Existing,
        /// The name.
        name: String,
    },
    /// Starts the container that a step made, and waits until it is well.
    StartCreated {
        /// The step.
        created: StepId,
        /// Its service.
        service: String,
    },
}

/// An operation, why, and after what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub operation: Operation,
    /// Why.
    pub cause: String,
    /// What has to be done first.
    pub after: Vec<StepId>,
    /// Steps that are one thing to a person: the recreation of this container.
    pub recreates: Option<String>,
}

/// All that has to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps; one's id is its index, and it stands behind all that it waits for.
    pub steps: Vec<Step>,
    /// Names of containers that are as they should be.
    pub untouched: Vec<String>,
    /// Names of containers whose service is not in the file and that stay.
    pub orphans: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl Plan {
    fn add(&mut self, operation: Operation, cause: impl Into<String>, after: &[StepId]) -> StepId {
        self.add_to(None, operation, cause, after)
    }

    fn add_to(
        &mut self,
        recreates: Option<&str>,
        operation: Operation,
        cause: impl Into<String>,
        after: &[StepId],
    ) -> StepId {
        let after: BTreeSet<StepId> = after.iter().copied().collect();
        self.steps.push(Step {
            operation,
            cause: cause.into(),
            after: after.into_iter().collect(),
            recreates: recreates.map(str::to_owned),
        });
        self.steps.len() - 1
    }
}

/// Says what has to be done so that what is there becomes what the project says.
pub fn plan(
    project: &Project,
    observed: &Observed,
    images: &Images,
    separator: Separator,
    options: &Options,
) -> Result<Plan, Failed> {
    let mut planner = Planner {
        project,
        observed,
        images,
        separator,
        options,
        plan: Plan::default(),
        network_steps: BTreeMap::new(),
        volume_steps: BTreeMap::new(),
        service_steps: BTreeMap::new(),
        stopped: BTreeMap::new(),
        removed: BTreeMap::new(),
        connected: BTreeMap::new(),
        recreated: BTreeSet::new(),
    };
    names_are_one_s_own(project)?;
    planner.networks()?;
    planner.volumes()?;
    for name in Order::forward(project)?.sorted()? {
        planner.service(&project.services[&name])?;
    }
    planner.orphans();
    Ok(planner.plan)
}

/// Two services may not want one name.
fn names_are_one_s_own(project: &Project) -> Result<(), Failed> {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for service in project.services.values().filter(|s| !s.container_name.is_empty()) {
        if let Some(first) = taken.insert(&service.container_name, &service.name) {
            return Err(Failed::NameTaken {
                first: first.to_owned(),
                second: service.name.clone(),
                name: service.container_name.clone(),
            });
        }
    }
    Ok(())
}

struct Planner<'a> {
    project: &'a Project,
    observed: &'a Observed,
    images: &'a Images,
    separator: Separator,
    options: &'a Options,
    plan: Plan,
    /// The step that makes a network, by the file's name.
    network_steps: BTreeMap<String, StepId>,
    /// The step that makes a volume, by the file's name.
    volume_steps: BTreeMap<String, StepId>,
    /// The last steps of a service.
    service_steps: BTreeMap<String, Vec<StepId>>,
    /// Containers, by id, that a step stops already.
    stopped: BTreeMap<String, StepId>,
    /// Containers, by id, that a step removes already.
    removed: BTreeMap<String, StepId>,
    /// Steps that put a container, by id, into a network again.
    connected: BTreeMap<String, Vec<StepId>>,
    /// Services of which a container is made anew.
    recreated: BTreeSet<String>,
}

impl<'a> Planner<'a> {
    /// The containers of these services.
    fn containers_of(&self, services: &[String]) -> Vec<&'a Container> {
        let observed = self.observed;
        let of = |c: &&Container| !c.is_one_off() && services.contains(&c.service);
        observed.containers.iter().filter(of).collect()
    }

    /// Stops a container, once.
    fn stop(&mut self, container: &Container, cause: &str, after: &[StepId]) -> StepId {
        if let Some(step) = self.stopped.get(&container.id) {
            return *step;
        }
        let operation =
            Operation::StopContainer { container: container.into(), timeout: self.options.timeout };
        let step = self.plan.add(operation, cause, after);
        self.stopped.insert(container.id.clone(), step);
        step
    }

    /// Stops a container and removes it.
    fn remove(&mut self, container: &Container, cause: &str) -> StepId {
        let stopped = self.stop(container, cause, &[]);
        let operation = Operation::RemoveContainer { container: container.into() };
        let step = self.plan.add(operation, cause, &[stopped]);
        self.removed.insert(container.id.clone(), step);
        step
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::CreateNetwork { name, .. } => write!(f, "create network {name}"),
            Operation::RemoveNetwork { name, .. } => write!(f, "remove network {name}"),
            Operation::Disconnect { container, network } => {
                write!(f, "disconnect {} from {network}", container.name)
            }
            Operation::Connect { container, network, .. } => {
                write!(f, "connect {} to {network}", container.name)
            }
            Operation::CreateVolume { name, .. } => write!(f, "create volume {name}"),
            Operation::RemoveVolume { name } => write!(f, "remove volume {name}"),
            Operation::CreateContainer { name, .. } => write!(f, "create container {name}"),
            Operation::StopContainer { container, .. } => write!(f, "stop container {}", container.name),
            Operation::RemoveContainer { container } => write!(f, "remove container {}", container.name),
            Operation::RenameCreated { created, name } => {
                write!(f, "rename what step {} made to {name}", created + 1)
            }
            Operation::RenameContainer { container, name } => {
                write!(f, "rename container {} to {name}", container.name)
            }
            Operation::StartCreated { created, .. } => {
                write!(f, "start what step {} made and wait for its health", created + 1)
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            write!(f, "{:>3}. {} ({})", at + 1, step.operation, step.cause)?;
            if !step.after.is_empty() {
                let after: Vec<String> = step.after.iter().map(|s| (s + 1).to_string()).collect();
                write!(f, " after {}", after.join(", "))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
