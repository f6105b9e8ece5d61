//! The engine itself.

use serde_json::Value;

use crate::body::JsonStream;
use crate::call::Query;
use crate::client::Client;
use crate::error::ClientError;

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// `GET /info`.
    pub async fn info(&self) -> Result<Value> {
        self.get("/info").json().await
    }

    /// `GET /version`.
    pub async fn server_version(&self) -> Result<Value> {
        self.get("/version").json().await
    }

    /// `GET /system/df`.
    pub async fn disk_usage(&self, query: Query) -> Result<Value> {
        self.get("/system/df").query(query).json().await
    }

    /// `GET /events`.
    pub async fn events(&self, query: Query) -> Result<JsonStream> {
        self.get("/events").query(query).messages().await
    }
}
