//! The health check as it was asked for.

use serde::{Deserialize, Serialize};

/// Docker's health configuration; durations in nanoseconds, 0 means "take the image's or the default".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Healthcheck {
    /// `[]` inherits; `["NONE"]` switches off; `["CMD", args…]`; `["CMD-SHELL", line]`; ours: `["CMD-HTTP", url]` and
    /// `["CMD-TCP", "port" or "host:port"]`, which need nothing inside the image.
    pub test: Vec<String>,
    /// Between two probes.
    pub interval_ns: i64,
    /// How long one probe may take.
    pub timeout_ns: i64,
    /// How long failures do not count after the start.
    pub start_period_ns: i64,
    /// Between two probes inside the start period.
    pub start_interval_ns: i64,
    /// Failures in a row that make it unhealthy.
    pub retries: i64,
}
