//! What every failed request answers.

use serde::{Deserialize, Serialize};

/// The body of an error response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorResponse {
    /// The text shown to the user.
    pub message: String,
}

/// An answer that is nothing but an id (commit, exec create, secret create, ...).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IdResponse {
    /// The id of what was made.
    pub id: String,
}
