//! Managed plugins. This engine has none; the list is printed empty.

use crate::is_zero;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One plugin, as far as a client lists it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Plugin {
    pub config: Value,
    pub enabled: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pub id: String,
    pub name: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub plugin_reference: String,
    pub settings: Value,
}
