//! The cluster's nouns (nodes, services, tasks, secrets, configs) and plugins: they share their shapes, so they
//! share their methods.

use serde_json::Value;

use crate::call::Query;
use crate::client::Client;
use crate::error::ClientError;

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// `GET /{noun}`: `nodes`, `services`, `tasks`, `secrets`, `configs`, `plugins`.
    pub async fn objects(&self, noun: &str, query: Query) -> Result<Vec<Value>> {
        self.get(format!("/{noun}")).query(query).json().await
    }

    /// `GET /{noun}/{id}`.
    pub async fn object(&self, noun: &str, id: &str, query: Query) -> Result<Value> {
        self.get(format!("/{noun}/{id}")).query(query).json().await
    }

    /// `POST /{noun}/create`; answers with the new thing's id.
    pub async fn object_create(&self, noun: &str, body: &Value) -> Result<Value> {
        self.post(format!("/{noun}/create")).json_body(body).value().await
    }

    /// `POST /{noun}/{id}/update?version=`.
    pub async fn object_update(&self, noun: &str, id: &str, version: u64, body: &Value) -> Result<Value> {
        self.post(format!("/{noun}/{id}/update"))
            .with("version", version.to_string())
            .json_body(body)
            .value()
            .await
    }

    /// `DELETE /{noun}/{id}`.
    pub async fn object_remove(&self, noun: &str, id: &str, force: bool) -> Result<()> {
        self.delete(format!("/{noun}/{id}")).query(Query::new().flag("force", force)).done().await
    }

    /// `GET /swarm`.
    pub async fn swarm(&self) -> Result<Value> {
        self.get("/swarm").json().await
    }

    /// `POST /swarm/{verb}`: `init`, `join`, `leave`, `update`, `unlock`.
    pub async fn swarm_verb(&self, verb: &str, query: Query, body: Option<&Value>) -> Result<Value> {
        let call = self.post(format!("/swarm/{verb}")).query(query);
        match body {
            Some(body) => call.json_body(body).value().await,
            None => call.value().await,
        }
    }
}
