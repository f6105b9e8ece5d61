//! Does what a plan says: every step as soon as those before it are done.

mod containers;
mod networks;

use containers::Place;
pub(crate) use containers::{create as create_one, links};

use std::cell::RefCell;
use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::containers::Container;
use crate::failed::Failed;
use crate::observe::Observed;
use crate::plan::{Operation, Plan, Step, StepId};
use crate::progress::Event;
use crate::scene::{Images, Scene};

/// One plan being done.
pub struct Executor<'a> {
    scene: &'a Scene<'a>,
    images: &'a Images,
    plan: &'a Plan,
    /// Id and name of each service's containers, as they are now.
    live: RefCell<BTreeMap<String, Vec<(String, String)>>>,
    /// The containers as they were, for what the new ones inherit.
    before: &'a [Container],
    /// Ids of containers of others, by `container:name`.
    shared: &'a BTreeMap<String, String>,
    /// The container that a step made.
    made: RefCell<BTreeMap<StepId, String>>,
    /// How many steps of a recreation are done.
    groups: RefCell<BTreeMap<String, usize>>,
}

impl<'a> Executor<'a> {
    /// An executor of `plan`, which was made of what was `observed`.
    pub fn new(scene: &'a Scene<'a>, images: &'a Images, observed: &'a Observed, plan: &'a Plan) -> Self {
        let mut live: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for container in observed.containers.iter().filter(|c| !c.is_one_off()) {
            let of = live.entry(container.service.clone()).or_default();
            of.push((container.id.clone(), container.name.clone()));
        }
        Executor {
            scene,
            images,
            plan,
            live: RefCell::new(live),
            before: &observed.containers,
            shared: &observed.shared,
            made: RefCell::default(),
            groups: RefCell::default(),
        }
    }

    /// Does every step. After a failure no new step begins; those under way come to their end.
    pub async fn run(&self) -> Result<(), Failed> {
        let steps = &self.plan.steps;
        let mut waits: Vec<usize> = steps.iter().map(|step| step.after.len()).collect();
        let mut followers: Vec<Vec<StepId>> = vec![Vec::new(); steps.len()];
        for (id, step) in steps.iter().enumerate() {
            step.after.iter().for_each(|before| followers[*before].push(id));
        }
        let mut ready: Vec<StepId> = (0..steps.len()).rev().filter(|id| waits[*id] == 0).collect();
        let mut running = FuturesUnordered::new();
        let mut failed = None;
        loop {
            let bound = self.scene.at_once.unwrap_or(usize::MAX).max(1);
            while failed.is_none() && running.len() < bound {
                let Some(id) = ready.pop() else { break };
                running.push(async move { (id, self.step(id).await) });
            }
            let Some((id, outcome)) = running.next().await else { break };
            match outcome {
                Ok(()) => {
                    for next in &followers[id] {
                        waits[*next] -= 1;
                        if waits[*next] == 0 {
                            ready.push(*next);
                        }
                    }
                }
                // The first failure is the one to tell.
                Err(failure) => {
                    failed.get_or_insert(failure);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn step(&self, id: StepId) -> Result<(), Failed> {
        let step = &self.plan.steps[id];
        self.begin(step);
        match self.operate(id, &step.operation).await {
            Ok(()) => {
                self.finish(step);
                Ok(())
            }
            Err(failure) => {
                let what =
                    step.recreates.as_ref().map_or_else(|| title(step), |name| format!("Container {name}"));
                self.scene.progress.tell(Event::error(&what, "Error"));
                Err(match failure {
                    Failed::Client(_) => Failed::At { what, cause: Box::new(failure) },
                    Failed::Final(cause) => Failed::Final(Box::new(Failed::At { what, cause })),
                    other => other,
                })
            }
        }
    }

    fn begin(&self, step: &Step) {
        if let Some(name) = &step.recreates {
            let mut groups = self.groups.borrow_mut();
            if !groups.contains_key(name) {
                groups.insert(name.clone(), 0);
                self.scene.progress.tell(Event::working(format!("Container {name}"), "Recreate"));
            }
            return;
        }
        if let Some((doing, _)) = words(&step.operation) {
            self.scene.progress.tell(Event::working(title(step), doing));
        }
    }

    fn finish(&self, step: &Step) {
        if let Some(name) = &step.recreates {
            let all = self.plan.steps.iter().filter(|s| s.recreates.as_ref() == Some(name)).count();
            let mut groups = self.groups.borrow_mut();
            let done = groups.entry(name.clone()).or_default();
            *done += 1;
            if *done == all {
                self.scene.progress.tell(Event::done(format!("Container {name}"), "Recreated"));
            }
            return;
        }
        if let Some((_, done)) = words(&step.operation) {
            self.scene.progress.tell(Event::done(title(step), done));
        }
    }

    async fn operate(&self, id: StepId, operation: &Operation) -> Result<(), Failed> {
        match operation {
            Operation::CreateNetwork { key, .. } => self.create_network(key).await,
            Operation::RemoveNetwork { name, best_effort } => self.remove_network(name, *best_effort).await,
            Operation::Disconnect { container, network } => self.disconnect(container, network).await,
            Operation::Connect { container, network, key } => self.connect(container, network, key).await,
            Operation::CreateVolume { key, .. } => self.create_volume(key).await,
            Operation::RemoveVolume { name } => Ok(self.scene.client.volume_remove(name, true).await?),
            Operation::CreateContainer { service, number, name, replaces, inherit, takes_ports } => {
                let place =
                    Place { replaces: replaces.as_ref(), inherit: *inherit, takes_ports: *takes_ports };
                self.create_container(id, service, *number, name, place).await
            }
            Operation::StopContainer { container, timeout } => self.stop_container(container, *timeout).await,
            Operation::RemoveContainer { container } => self.remove_container(container).await,
            Operation::RenameCreated { created, name } => self.rename(&self.made_by(*created), name).await,
            Operation::RenameContainer { container, name } => self.rename(&container.id, name).await,
            Operation::StartCreated { created, service } => self.start_created(*created, service).await,
        }
    }

    /// The id of the container that a step made. A step behind it runs only when it did.
    fn made_by(&self, step: StepId) -> String {
        self.made.borrow().get(&step).cloned().unwrap_or_default()
    }

    /// Id and name of a service's first container, as things are now.
    fn first_of(&self, service: &str) -> Option<String> {
        let live = self.live.borrow();
        let of = live.get(service)?;
        of.iter().min_by(|a, b| a.1.cmp(&b.1)).map(|(id, _)| id.clone())
    }
}

/// What progress calls the thing that a step works on.
fn title(step: &Step) -> String {
    match &step.operation {
        Operation::CreateNetwork { name, .. } | Operation::RemoveNetwork { name, .. } => {
            format!("Network {name}")
        }
        Operation::CreateVolume { name, .. } | Operation::RemoveVolume { name } => format!("Volume {name}"),
        Operation::CreateContainer { name, .. } | Operation::RenameCreated { name, .. } => {
            format!("Container {name}")
        }
        Operation::Disconnect { container, .. }
        | Operation::Connect { container, .. }
        | Operation::StopContainer { container, .. }
        | Operation::RemoveContainer { container }
        | Operation::RenameContainer { container, .. } => format!("Container {}", container.name),
        Operation::StartCreated { service, .. } => format!("Service {service}"),
    }
}

/// What is said when a step begins and when it is done.
fn words(operation: &Operation) -> Option<(&'static str, &'static str)> {
    Some(match operation {
        Operation::CreateNetwork { .. }
        | Operation::CreateVolume { .. }
        | Operation::CreateContainer { .. } => ("Creating", "Created"),
        Operation::RemoveNetwork { .. }
        | Operation::RemoveVolume { .. }
        | Operation::RemoveContainer { .. } => ("Removing", "Removed"),
        Operation::StopContainer { .. } => ("Stopping", "Stopped"),
        Operation::StartCreated { .. } => ("Starting", "Started"),
        _ => return None,
    })
}

/// Says what would be done, as if it were. Answers the containers that there would be.
pub fn rehearse(scene: &Scene<'_>, plan: &Plan, there: Vec<Container>) -> Vec<Container> {
    let mut containers = there;
    let mut begun: Vec<&str> = Vec::new();
    for step in &plan.steps {
        match &step.operation {
            Operation::CreateContainer { service, number, name, .. } => {
                let mut made = Container::from_summary(serde_json::Value::Null);
                made.service.clone_from(service);
                made.number = *number;
                made.name = crate::names::without_interim(name).to_owned();
                containers.push(made);
            }
            Operation::RemoveContainer { container } => containers.retain(|c| c.id != container.id),
            _ => {}
        }
        if let Some(name) = &step.recreates {
            if !begun.contains(&name.as_str()) {
                begun.push(name);
                scene.progress.tell(Event::working(format!("Container {name}"), "Recreate"));
                scene.progress.tell(Event::done(format!("Container {name}"), "Recreated"));
            }
        } else if let Some((doing, done)) = words(&step.operation) {
            scene.progress.tell(Event::working(title(step), doing));
            scene.progress.tell(Event::done(title(step), done));
        }
    }
    containers
}
