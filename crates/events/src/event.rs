//! One event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Something that happened to something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Nanoseconds since 1970. No two events of a journal share one.
    #[serde(rename = "t")]
    pub time_ns: i64,
    /// What kind of thing.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// Docker's word: `create`, `die`, `exec_create: sh -c …`.
    #[serde(rename = "a")]
    pub action: String,
    /// Which thing.
    #[serde(flatten)]
    pub actor: Actor,
}

/// The thing an event is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Its id, or its name when it has none.
    pub id: String,
    /// Docker's attributes.
    #[serde(default, rename = "at", skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// Docker's event types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
    /// The engine itself.
    Daemon,
    /// A builder.
    Builder,
    /// A plugin.
    Plugin,
    /// A swarm service.
    Service,
    /// A swarm node.
    Node,
    /// A swarm secret.
    Secret,
    /// A swarm config.
    Config,
}

impl Kind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Container => "container",
            Kind::Image => "image",
            Kind::Volume => "volume",
            Kind::Network => "network",
            Kind::Daemon => "daemon",
            Kind::Builder => "builder",
            Kind::Plugin => "plugin",
            Kind::Service => "service",
            Kind::Node => "node",
            Kind::Secret => "secret",
            Kind::Config => "config",
        }
    }
}

impl Event {
    /// The action without what follows a colon: `exec_create` of `exec_create: sh`.
    pub fn verb(&self) -> &str {
        self.action.split_once(':').map_or(&self.action, |(verb, _)| verb)
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.actor.attributes.get(name).map(String::as_str)
    }
}
