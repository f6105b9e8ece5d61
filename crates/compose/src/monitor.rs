//! What happens to a project's containers, as the engine's events tell it.

use gantry_client::{Client, JsonStream, Query};
use serde_json::{Value, json};

use crate::containers::pairs;
use crate::failed::Failed;
use crate::labels;
use crate::names;

/// The project's events.
pub struct Monitor {
    client: Client,
    stream: JsonStream,
}

/// Something happened to a container.
#[derive(Debug, Clone)]
pub struct News {
    /// Its id.
    pub id: String,
    /// What logs call it.
    pub name: String,
    /// Its service.
    pub service: String,
    /// When, in a form that logs take.
    pub time: String,
    /// What.
    pub what: Change,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It started.
    Started,
    /// It ended.
    Died {
        /// With this code.
        code: i64,
        /// And starts again.
        restarting: bool,
    },
    /// Something else.
    Other,
}

/// The filter of a project's container events, without `run`'s containers.
pub fn filter(project: &str) -> String {
    let wanted = [format!("{}={project}", labels::PROJECT), format!("{}=False", labels::ONE_OFF)];
    json!({"type": ["container"], "label": wanted}).to_string()
}

impl Monitor {
    /// Listens from now on.
    pub async fn start(client: &Client, project: &str) -> Result<Monitor, Failed> {
        let stream = client.events(Query::new().with("filters", filter(project))).await?;
        Ok(Monitor { client: client.clone(), stream })
    }

    /// The next news; nothing when the engine hung up.
    pub async fn next(&mut self) -> Result<Option<News>, Failed> {
        loop {
            let Some(event) = self.stream.next().await? else { return Ok(None) };
            if event["Action"] == "die" || event["Action"] == "start" {
                return Ok(Some(self.news(&event).await?));
            }
        }
    }

    async fn news(&self, event: &Value) -> Result<News, Failed> {
        let attributes = pairs(&event["Actor"]["Attributes"]);
        let attribute = |name: &str| attributes.get(name).cloned().unwrap_or_default();
        let id = event["Actor"]["ID"].as_str().unwrap_or_default().to_owned();
        let nanos = event["timeNano"].as_i64().unwrap_or(0);
        let what = match event["Action"].as_str() {
            Some("start") => Change::Started,
            Some("die") => {
                let code = attribute("exitCode").parse().unwrap_or(0);
                Change::Died { code, restarting: self.restarts(&id).await }
            }
            _ => Change::Other,
        };
        Ok(News {
            name: short(&attribute("name"), &attribute(labels::PROJECT)),
            service: attribute(labels::SERVICE),
            time: format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000),
            what,
            id,
        })
    }

    /// Whether a container that died is on its way back.
    async fn restarts(&self, id: &str) -> bool {
        match self.client.container_inspect(id, false).await {
            Ok(container) => {
                let state = &container["State"];
                state["Restarting"] == true || state["Running"] == true
            }
            // It is removed already.
            Err(_) => false,
        }
    }
}

/// The name without its project.
fn short(name: &str, project: &str) -> String {
    let name = names::without_interim(name);
    match name.strip_prefix(project).and_then(|rest| rest.strip_prefix(['-', '_'])) {
        Some(rest) => rest.to_owned(),
        None => name.to_owned(),
    }
}
