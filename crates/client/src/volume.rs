//! Volumes.

use serde_json::Value;

use crate::call::Query;
use crate::client::Client;
use crate::error::ClientError;

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// `GET /volumes`.
    pub async fn volume_list(&self, query: Query) -> Result<Value> {
        self.get("/volumes").query(query).json().await
    }

    /// `GET /volumes/{name}`.
    pub async fn volume_inspect(&self, name: &str) -> Result<Value> {
        self.get(format!("/volumes/{name}")).json().await
    }

    /// `POST /volumes/create`.
    pub async fn volume_create(&self, body: &Value) -> Result<Value> {
        self.post("/volumes/create").json_body(body).json().await
    }

    /// `DELETE /volumes/{name}`.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        self.delete(format!("/volumes/{name}")).query(Query::new().flag("force", force)).done().await
    }

    /// `PUT /volumes/{name}`.
    pub async fn volume_update(&self, name: &str, version: u64, body: &Value) -> Result<()> {
        self.put(format!("/volumes/{name}")).with("version", version.to_string()).json_body(body).done().await
    }
}
