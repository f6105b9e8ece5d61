//! The engine's containers as a project sees them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::labels;
use crate::names;

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, never started.
    Created,
    /// It runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Between two runs.
    Restarting,
    /// It ended.
    Exited,
    /// It is going away.
    Removing,
    /// It could not be removed.
    Dead,
}

impl State {
    /// The engine's word.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Running => "running",
            State::Paused => "paused",
            State::Restarting => "restarting",
            State::Exited => "exited",
            State::Removing => "removing",
            State::Dead => "dead",
        }
    }

    fn parse(word: &str) -> State {
        match word {
            "running" => State::Running,
            "paused" => State::Paused,
            "restarting" => State::Restarting,
            "exited" => State::Exited,
            "removing" => State::Removing,
            "dead" => State::Dead,
            _ => State::Created,
        }
    }
}

/// Something mounted in a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs`, ...
    pub kind: String,
    /// The volume's name.
    pub name: String,
    /// The host's path.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Whether it may be written.
    pub writable: bool,
}

/// A container of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without the slash.
    pub name: String,
    /// The service.
    pub service: String,
    /// Which of the service's; none for `run`'s.
    pub number: u32,
    /// What it does.
    pub state: State,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// The engine's networks it is in: id by name.
    pub networks: BTreeMap<String, String>,
    /// What is mounted in it.
    pub mounts: Vec<MountPoint>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// All that the engine's listing says.
    pub summary: Value,
}

impl Container {
    /// Of an entry of `GET /containers/json`.
    pub fn from_summary(summary: Value) -> Container {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels = pairs(&summary["Labels"]);
        let networks = summary["NetworkSettings"]["Networks"].as_object();
        let networks =
            networks.into_iter().flatten().map(|(name, at)| (name.clone(), text(&at["NetworkID"])));
        let mounts = summary["Mounts"].as_array().into_iter().flatten().map(|m| MountPoint {
            kind: text(&m["Type"]),
            name: text(&m["Name"]),
            source: text(&m["Source"]),
            target: text(&m["Destination"]),
            writable: m["RW"].as_bool().unwrap_or(true),
        });
        // A name with a second slash is a link of another container.
        let names = summary["Names"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let name = names.map(|n| n.trim_start_matches('/')).find(|n| !n.contains('/')).unwrap_or_default();
        Container {
            id: text(&summary["Id"]),
            name: name.to_owned(),
            service: labels.get(labels::SERVICE).cloned().unwrap_or_default(),
            number: labels.get(labels::NUMBER).and_then(|n| n.parse().ok()).unwrap_or(0),
            state: State::parse(summary["State"].as_str().unwrap_or_default()),
            networks: networks.collect(),
            mounts: mounts.collect(),
            created: summary["Created"].as_i64().unwrap_or(0),
            labels,
            summary,
        }
    }

    /// Whether `run` made it.
    pub fn is_one_off(&self) -> bool {
        self.label(labels::ONE_OFF) == "True"
    }

    /// Whether Docker Compose 1 made it, whose hash is over another form of the file.
    pub fn is_of_compose_1(&self) -> bool {
        self.label(labels::VERSION).starts_with("1.")
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// A label, or nothing.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// How progress names it.
    pub fn title(&self) -> String {
        format!("Container {}", self.name)
    }

    /// How logs name it: without the project where the name is the usual one.
    pub fn short_name(&self) -> String {
        let project = self.label(labels::PROJECT);
        let name = names::without_interim(&self.name);
        for separator in ["-", "_"] {
            let usual = format!("{project}{separator}{}{separator}{}", self.service, self.number);
            if name == usual {
                return name[project.len() + 1..].to_owned();
            }
        }
        self.name.clone()
    }
}

/// A JSON object of texts.
pub(crate) fn pairs(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_listing_s_entry_is_understood() {
        let container = Container::from_summary(json!({
            "Id": "abc", "Names": ["/other/db", "/p-db-2"], "State": "exited", "Created": 7,
            "Labels": {labels::PROJECT: "p", labels::SERVICE: "db", labels::NUMBER: "2", labels::ONE_OFF: "False"},
            "NetworkSettings": {"Networks": {"p_default": {"NetworkID": "n"}}},
            "Mounts": [{"Type": "volume", "Name": "v", "Source": "/s", "Destination": "/d", "RW": false}],
        }));
        assert_eq!(
            (container.name.as_str(), container.number, container.state),
            ("p-db-2", 2, State::Exited)
        );
        assert_eq!(container.short_name(), "db-2");
        assert_eq!(container.networks["p_default"], "n");
        assert!(!container.mounts[0].writable && !container.is_one_off());
    }
}
