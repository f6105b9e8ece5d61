//! As much of swarm as `info` prints.

use crate::is_zero;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `Info.Swarm`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmInfo {
    #[serde(rename = "NodeID")]
    pub node_id: String,
    pub node_addr: String,
    /// `inactive`, `pending`, `active`, `error`, `locked`.
    pub local_node_state: String,
    pub control_available: bool,
    pub error: String,
    pub remote_managers: Option<Vec<SwarmPeer>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub nodes: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub managers: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A manager of the swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SwarmPeer {
    #[serde(rename = "NodeID")]
    pub node_id: String,
    pub addr: String,
}
