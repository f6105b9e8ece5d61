//! Build cache: what `system df` and `POST /build/prune` print.

use crate::is_zero;
use serde::{Deserialize, Serialize};

/// One record of the build cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BuildCache {
    #[serde(rename = "ID")]
    pub id: String,
    /// Before 1.42.
    #[serde(skip_serializing_if = "is_zero")]
    pub parent: String,
    /// Docker prints this key with a leading space, and so must we.
    #[serde(rename = " Parents", alias = "Parents", skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    pub r#type: String,
    pub description: String,
    pub in_use: bool,
    pub shared: bool,
    pub size: i64,
    pub created_at: String,
    pub last_used_at: Option<String>,
    pub usage_count: i64,
}

/// `POST /build/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BuildPruned {
    pub caches_deleted: Option<Vec<String>>,
    pub space_reclaimed: u64,
}
