//! One look at everything that a project has on an engine.

use std::collections::BTreeMap;

use futures_util::future;
use gantry_client::{Client, ClientError, Query};
use gantry_compose_file::project::Project;
use serde_json::{Value, json};

use crate::containers::{Container, pairs};
use crate::labels;

/// What is there.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The project's containers, `run`'s too.
    pub containers: Vec<Container>,
    /// All networks of the engine: those of others may be declared external.
    pub networks: Vec<ObservedNetwork>,
    /// All volumes of the engine.
    pub volumes: Vec<ObservedVolume>,
    /// Whether the engine can hand a published port from one container to another: ours can. Asked only where a
    /// service wants it.
    pub hands_over: bool,
    /// Ids of containers of others that services share a namespace with, by `container:name`. Asked only where Compose
    /// 1's hash, which they are in, matters.
    pub shared: BTreeMap<String, String>,
}

/// A network of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedNetwork {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedVolume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, as the engine tells it.
    pub summary: Value,
}

/// Asks the engine for all of it at once.
pub async fn look(client: &Client, project: &str) -> Result<Observed, ClientError> {
    // The version is negotiated once, not by each of the three.
    client.version().await?;
    let containers = list_containers(client, project, true);
    let networks = client.network_list(Query::new());
    let volumes = client.volume_list(Query::new());
    let (containers, networks, volumes) = future::try_join3(containers, networks, volumes).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let networks = networks.iter().map(|n| ObservedNetwork {
        id: text(&n["Id"]),
        name: text(&n["Name"]),
        labels: pairs(&n["Labels"]),
    });
    let volumes = volumes["Volumes"].as_array().into_iter().flatten().map(|v| ObservedVolume {
        name: text(&v["Name"]),
        labels: pairs(&v["Labels"]),
        summary: v.clone(),
    });
    let (networks, volumes) = (networks.collect(), volumes.collect());
    Ok(Observed { containers, networks, volumes, ..Observed::default() })
}

/// Whether the engine can hand a published port from one container to another.
pub async fn hands_over(client: &Client) -> Result<bool, ClientError> {
    Ok(client.server_version().await?["Platform"]["Name"] == "Gantry")
}

/// The ids of the containers of others that services share a namespace with, by `container:name`.
pub async fn shared(client: &Client, project: &Project) -> Result<BTreeMap<String, String>, ClientError> {
    let modes = project.services.values().flat_map(|service| [&service.network_mode, &service.ipc]);
    let mut shared = BTreeMap::new();
    for (mode, name) in modes.filter_map(|mode| Some((mode, mode.strip_prefix("container:")?))) {
        match client.container_inspect(name, false).await {
            Ok(there) => {
                shared.insert(mode.clone(), there["Id"].as_str().unwrap_or_default().to_owned());
            }
            Err(err) if err.is_not_found() => {}
            Err(err) => return Err(err),
        }
    }
    Ok(shared)
}

/// The project's containers in the order of their names; with `all` also those that do not run.
pub async fn list_containers(
    client: &Client,
    project: &str,
    all: bool,
) -> Result<Vec<Container>, ClientError> {
    let wanted = json!({"label": [format!("{}={project}", labels::PROJECT), labels::CONFIG_HASH]});
    let query = Query::new().flag("all", all).with("filters", wanted.to_string());
    let listed = client.container_list(query).await?;
    let mut containers: Vec<Container> = listed.into_iter().map(Container::from_summary).collect();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(containers)
}

impl Observed {
    /// The id of the container that is named `service:db`, the first one, or `container:name`.
    pub(crate) fn shared(&self, name: &str) -> Option<String> {
        let Some(service) = name.strip_prefix("service:") else { return self.shared.get(name).cloned() };
        let first = self.of_service(service).min_by(|a, b| a.name.cmp(&b.name));
        first.map(|container| container.id.clone())
    }

    /// The containers of a service that belong to it for good, by number.
    pub fn of_service<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Container> {
        self.containers.iter().filter(move |c| c.service == service && !c.is_one_off())
    }

    /// The network that a project's `key` is: the one labelled so, or else the one of this name.
    pub fn network(&self, project: &str, key: &str, name: &str) -> Option<&ObservedNetwork> {
        let ours = |n: &&ObservedNetwork| label(&n.labels, labels::PROJECT) == project;
        let labelled = |n: &&ObservedNetwork| ours(n) && label(&n.labels, labels::NETWORK) == key;
        let named = |n: &&ObservedNetwork| n.name == name;
        self.networks
            .iter()
            .find(|n| labelled(n) && named(n))
            .or_else(|| self.networks.iter().find(named))
            .or_else(|| self.networks.iter().find(labelled))
    }

    /// The volume of this name.
    pub fn volume(&self, name: &str) -> Option<&ObservedVolume> {
        self.volumes.iter().find(|v| v.name == name)
    }
}

/// A label, or nothing.
pub(crate) fn label<'a>(labels: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    labels.get(name).map_or("", String::as_str)
}
