use super::{Duration, Extensions};

/// How the engine finds out whether a container is well.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Healthcheck {
    /// `CMD` and words, `CMD-SHELL` and a line, or `NONE`; empty: the image's.
    pub test: Vec<String>,
    /// How long one check may take.
    pub timeout: Option<Duration>,
    /// Between two checks.
    pub interval: Option<Duration>,
    /// Failures in a row that count.
    pub retries: Option<u64>,
    /// How long failures do not count after the start.
    pub start_period: Option<Duration>,
    /// Between two checks in that time.
    pub start_interval: Option<Duration>,
    /// No check, not even the image's.
    pub disable: bool,
    /// The user's own.
    pub extensions: Extensions,
}
