//! `GET /distribution/{name}/json`: what a registry says of an image.

use crate::oci::{Descriptor, Platform};
use serde::{Deserialize, Serialize};

/// A remote image's descriptor and platforms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DistributionInspect {
    pub descriptor: Descriptor,
    pub platforms: Option<Vec<Platform>>,
}
