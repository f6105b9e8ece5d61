//! Which attributes a single engine honours, and what is said of the others when a project has them.

use crate::project::Project;
use crate::schema;
use crate::tree::{Map, Node, Value};

/// What becomes of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is read, checked and part of the project.
    Honoured,
    /// It is read, and the user hears why it does nothing.
    Told(&'static str),
    /// It is refused as unknown.
    Missing,
}

const CLUSTER: &str = "it is for a cluster; a single engine leaves it out";
const WINDOWS: &str = "it is for Windows containers; on Linux it does nothing";
const MODELS: &str = "language models are not run here: start the model's server yourself and pass its address by `environment`";
const PROVIDERS: &str = "provider programs are not called here: start what it provides yourself and drop the service, or give it an image";

/// Attributes that do nothing on a single engine, and why.
const TOLD: [(&str, &str, &str); 32] = [
    ("top-level", "models", MODELS),
    ("model", "name", MODELS),
    ("model", "model", MODELS),
    ("model", "context_size", MODELS),
    ("model", "runtime_flags", MODELS),
    ("service", "models", MODELS),
    ("service.models.*", "endpoint_var", MODELS),
    ("service.models.*", "model_var", MODELS),
    ("service", "provider", PROVIDERS),
    ("service.provider", "type", PROVIDERS),
    ("service.provider", "options", PROVIDERS),
    ("service", "cpu_count", WINDOWS),
    ("service", "cpu_percent", WINDOWS),
    ("service", "credential_spec", WINDOWS),
    ("service.credential_spec", "config", WINDOWS),
    ("service.credential_spec", "file", WINDOWS),
    ("service.credential_spec", "registry", WINDOWS),
    ("service.deploy", "endpoint_mode", CLUSTER),
    ("service.deploy", "rollback_config", CLUSTER),
    ("service.deploy.rollback_config", "parallelism", CLUSTER),
    ("service.deploy.rollback_config", "delay", CLUSTER),
    ("service.deploy.rollback_config", "failure_action", CLUSTER),
    ("service.deploy.rollback_config", "monitor", CLUSTER),
    ("service.deploy.rollback_config", "max_failure_ratio", CLUSTER),
    ("service.deploy.rollback_config", "order", CLUSTER),
    ("service.deploy", "placement", CLUSTER),
    ("service.deploy.placement", "constraints", CLUSTER),
    ("service.deploy.placement", "preferences", CLUSTER),
    ("service.deploy.placement.preferences[]", "spread", CLUSTER),
    ("service.deploy.placement", "max_replicas_per_node", CLUSTER),
    ("service.deploy.resources.reservations", "generic_resources", CLUSTER),
    ("secret", "template_driver", CLUSTER),
];

/// What becomes of the attribute `name` that stands at `path`, such as `service.ports[]`.
pub fn standing(path: &str, name: &str) -> Standing {
    if let Some((_, _, reason)) = TOLD.iter().find(|told| (told.0, told.1) == (path, name)) {
        return Standing::Told(reason);
    }
    match schema::at(path).and_then(|shape| schema::within(shape, name)) {
        Some(_) => Standing::Honoured,
        None => Standing::Missing,
    }
}

/// A sentence for each attribute of the project's services that does nothing here, the outermost alone.
pub(crate) fn told(project: &Project, tree: &Node) -> Vec<String> {
    let mut sentences = Vec::new();
    let services = tree.as_map().and_then(|map| map.get("services")).and_then(Node::as_map);
    for entry in services.into_iter().flat_map(Map::iter) {
        if project.services.contains_key(&entry.key) {
            walk(&entry.value, "service", &format!("services.{}", entry.key), &mut sentences);
        }
    }
    sentences
}

fn walk(node: &Node, path: &str, shown: &str, sentences: &mut Vec<String>) {
    let Value::Map(map) = &node.value else { return };
    for entry in map.iter().filter(|entry| !entry.value.is_null()) {
        let shown = format!("{shown}.{}", entry.key);
        match TOLD.iter().find(|told| (told.0, told.1) == (path, entry.key.as_str())) {
            Some((_, _, reason)) => sentences.push(format!("{}: {shown}: {reason}", entry.at)),
            None => walk(&entry.value, &format!("{path}.{}", entry.key), &shown, sentences),
        }
    }
}
