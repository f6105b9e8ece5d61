//! `GET /events`.

use crate::{Strings, is_zero};
use serde::{Deserialize, Serialize};

/// One event. `status`, `id` and `from` are what clients before 1.22 read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EventMessage {
    #[serde(rename = "status", skip_serializing_if = "is_zero")]
    pub status: String,
    #[serde(rename = "id", skip_serializing_if = "is_zero")]
    pub id: String,
    #[serde(rename = "from", skip_serializing_if = "is_zero")]
    pub from: String,
    /// `container`, `image`, `volume`, `network`, `daemon`, ...
    pub r#type: String,
    /// `create`, `start`, `die`, `health_status: healthy`, `exec_create: sh`, ...
    pub action: String,
    pub actor: EventActor,
    #[serde(rename = "scope", skip_serializing_if = "is_zero")]
    pub scope: String,
    #[serde(rename = "time", skip_serializing_if = "is_zero")]
    pub time: i64,
    #[serde(rename = "timeNano", skip_serializing_if = "is_zero")]
    pub time_nano: i64,
}

/// Whom an event is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EventActor {
    #[serde(rename = "ID")]
    pub id: String,
    pub attributes: Option<Strings>,
}
