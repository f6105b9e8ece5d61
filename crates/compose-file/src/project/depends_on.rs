use super::Extensions;

/// What a service waits for in another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependency {
    /// When the other one counts as there.
    pub condition: Condition,
    /// Whether this one restarts when the other one was changed.
    pub restart: bool,
    /// Whether the project fails without the other one; otherwise it is told only.
    pub required: bool,
    /// The user's own.
    pub extensions: Extensions,
}

impl Default for Dependency {
    fn default() -> Self {
        Self { condition: Condition::Started, restart: false, required: true, extensions: Extensions::new() }
    }
}

/// When a dependency counts as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// Its container runs.
    #[default]
    Started,
    /// Its health check passes.
    Healthy,
    /// It has exited with 0.
    CompletedSuccessfully,
}

impl Condition {
    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::CompletedSuccessfully => "service_completed_successfully",
        }
    }
}
