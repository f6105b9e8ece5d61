//! `GET /containers/json`.

use crate::network::EndpointSettings;
use crate::oci::Descriptor;
use crate::{Strings, is_zero};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One container in a line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerSummary {
    pub id: String,
    /// With leading slashes; links add `/other/alias`.
    pub names: Option<Vec<String>>,
    pub image: String,
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// Since 1.48.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_manifest_descriptor: Option<Descriptor>,
    pub command: String,
    /// Unix seconds.
    pub created: i64,
    pub ports: Option<Vec<Port>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub size_rw: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub size_root_fs: i64,
    pub labels: Option<Strings>,
    /// One word.
    pub state: String,
    /// For people: `Up 3 minutes (healthy)`.
    pub status: String,
    pub host_config: SummaryHostConfig,
    pub network_settings: Option<NetworkSettingsSummary>,
    pub mounts: Option<Vec<MountPoint>>,
}

/// The two host settings a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SummaryHostConfig {
    #[serde(skip_serializing_if = "is_zero")]
    pub network_mode: String,
    /// Since 1.46.
    #[serde(skip_serializing_if = "Strings::is_empty")]
    pub annotations: Strings,
}

/// A port of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Port {
    #[serde(rename = "IP", skip_serializing_if = "is_zero")]
    pub ip: String,
    pub private_port: u16,
    #[serde(skip_serializing_if = "is_zero")]
    pub public_port: u16,
    pub r#type: String,
}

/// A container's networks in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSettingsSummary {
    pub networks: Option<BTreeMap<String, EndpointSettings>>,
}

/// A mount as it is, in lists and inspect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountPoint {
    #[serde(skip_serializing_if = "is_zero")]
    pub r#type: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub name: String,
    pub source: String,
    pub destination: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub driver: String,
    pub mode: String,
    #[serde(rename = "RW")]
    pub rw: bool,
    pub propagation: String,
}
