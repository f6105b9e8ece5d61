//! Which service comes before which.

use std::collections::{BTreeMap, BTreeSet};

use gantry_compose_file::project::{NetworkMode, Project, Service};

use crate::failed::Failed;

/// The services that `service` needs before it: `depends_on`, and those whose namespaces, volumes or names it uses.
pub fn needs(project: &Project, service: &Service) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = service.depends_on.keys().cloned().collect();
    if let NetworkMode::Service(name) = service.network() {
        names.insert(name);
    }
    for mode in [&service.ipc, &service.pid] {
        names.extend(mode.strip_prefix("service:").map(str::to_owned));
    }
    for from in &service.volumes_from {
        if !from.starts_with("container:") {
            names.extend(from.split(':').next().map(str::to_owned));
        }
    }
    for link in &service.links {
        names.extend(link.split(':').next().map(str::to_owned));
    }
    names.retain(|name| project.services.contains_key(name) && *name != service.name);
    names
}

/// What each service waits for, or who waits for it.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// By service: what comes before.
    before: BTreeMap<String, BTreeSet<String>>,
}

impl Order {
    /// Dependencies first.
    pub fn forward(project: &Project) -> Result<Order, Failed> {
        let before = project.services.iter().map(|(name, s)| (name.clone(), needs(project, s))).collect();
        let order = Order { before };
        order.sorted()?;
        Ok(order)
    }

    /// Dependents first. A circle does not matter on the way down.
    pub fn backward(project: &Project) -> Order {
        let mut before: BTreeMap<String, BTreeSet<String>> =
            project.services.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
        for (name, service) in &project.services {
            for needed in needs(project, service) {
                before.entry(needed).or_default().insert(name.clone());
            }
        }
        let order = Order { before };
        match order.sorted() {
            Ok(_) => order,
            Err(_) => {
                Order { before: order.before.into_keys().map(|name| (name, BTreeSet::new())).collect() }
            }
        }
    }

    /// What comes before a service.
    pub fn before(&self, service: &str) -> impl Iterator<Item = &String> {
        self.before.get(service).into_iter().flatten()
    }

    /// All services, each behind what comes before it.
    pub fn sorted(&self) -> Result<Vec<String>, Failed> {
        let mut sorted: Vec<String> = Vec::new();
        let mut left: Vec<&String> = self.before.keys().collect();
        while !left.is_empty() {
            let ready = |name: &&&String| self.before[**name].iter().all(|b| sorted.contains(b));
            let Some(at) = left.iter().position(|name| ready(&name)) else {
                return Err(Failed::Circle(self.circle(&left)));
            };
            sorted.push(left.remove(at).clone());
        }
        Ok(sorted)
    }

    /// `a -> b -> a`
    fn circle(&self, left: &[&String]) -> String {
        let mut walk: Vec<&String> = vec![left[0]];
        loop {
            let last = walk[walk.len() - 1];
            let Some(next) = self.before[last].iter().find(|b| left.contains(b)) else { break };
            if let Some(at) = walk.iter().position(|name| *name == next) {
                walk.drain(..at);
                walk.push(next);
                break;
            }
            walk.push(next);
        }
        walk.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(" -> ")
    }
}

#[cfg(test)]
mod tests {
    use gantry_compose_file::project::Dependency;

    use super::*;

    fn project(edges: &[(&str, &str)]) -> Project {
        let mut project = Project::default();
        for (from, to) in edges {
            for name in [from, to] {
                let service = project.services.entry((*name).to_owned()).or_default();
                service.name = (*name).to_owned();
            }
            let service = project.services.get_mut(*from).unwrap();
            service.depends_on.insert((*to).to_owned(), Dependency::default());
        }
        project
    }

    #[test]
    fn dependencies_come_first_and_go_last() {
        let project = project(&[("web", "db"), ("web", "cache"), ("proxy", "web")]);
        let forward = Order::forward(&project).unwrap().sorted().unwrap();
        assert_eq!(forward, ["cache", "db", "web", "proxy"]);
        let backward = Order::backward(&project).sorted().unwrap();
        assert_eq!(backward, ["proxy", "web", "cache", "db"]);
    }

    #[test]
    fn a_circle_is_told() {
        let project = project(&[("a", "b"), ("b", "c"), ("c", "a")]);
        let told = Order::forward(&project).unwrap_err().to_string();
        assert_eq!(told, "dependency cycle detected: a -> b -> c -> a");
        assert_eq!(Order::backward(&project).sorted().unwrap().len(), 3);
    }
}
