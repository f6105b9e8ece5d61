//! Networks.

use serde_json::Value;

use crate::call::Query;
use crate::client::Client;
use crate::error::ClientError;

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// `GET /networks`.
    pub async fn network_list(&self, query: Query) -> Result<Vec<Value>> {
        self.get("/networks").query(query).json().await
    }

    /// `GET /networks/{id}`.
    pub async fn network_inspect(&self, id: &str, query: Query) -> Result<Value> {
        self.get(format!("/networks/{id}")).query(query).json().await
    }

    /// `POST /networks/create`.
    pub async fn network_create(&self, body: &Value) -> Result<Value> {
        self.post("/networks/create").json_body(body).json().await
    }

    /// `DELETE /networks/{id}`.
    pub async fn network_remove(&self, id: &str) -> Result<()> {
        self.delete(format!("/networks/{id}")).done().await
    }

    /// `POST /networks/{id}/connect`.
    pub async fn network_connect(&self, id: &str, body: &Value) -> Result<()> {
        self.post(format!("/networks/{id}/connect")).json_body(body).done().await
    }

    /// `POST /containers/{id}/plumb`, of Gantry's own: one more interface by hand.
    pub async fn network_plumb(&self, container: &str, body: &Value) -> Result<Value> {
        self.post(format!("/containers/{container}/plumb")).json_body(body).json().await
    }

    /// `POST /containers/{id}/route`, of Gantry's own.
    pub async fn network_route(&self, container: &str, body: &Value) -> Result<()> {
        self.post(format!("/containers/{container}/route")).json_body(body).done().await
    }

    /// `POST /networks/{id}/disconnect`.
    pub async fn network_disconnect(&self, id: &str, body: &Value) -> Result<()> {
        self.post(format!("/networks/{id}/disconnect")).json_body(body).done().await
    }
}
