//! The restart policy as it was asked for.

use serde::{Deserialize, Serialize};

/// What happens after a container has exited by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// Start again, and after the engine's own restart too, even if it was stopped by hand.
    Always,
    /// As `Always`, but what was stopped by hand stays so.
    UnlessStopped,
    /// Only after a failure, at most so many times in a row (0: no bound).
    OnFailure(u32),
}

impl RestartPolicy {
    /// Docker's name of it.
    pub fn name(self) -> &'static str {
        match self {
            RestartPolicy::No => "no",
            RestartPolicy::Always => "always",
            RestartPolicy::UnlessStopped => "unless-stopped",
            RestartPolicy::OnFailure(_) => "on-failure",
        }
    }

    /// Reads Docker's name and count, with its refusals.
    pub fn parse(name: &str, maximum: i64) -> Result<RestartPolicy, RestartError> {
        if maximum != 0 && name != "on-failure" {
            return match name {
                "always" | "unless-stopped" | "no" | "" => {
                    Err(RestartError::CountOnlyOnFailure(name.to_owned()))
                }
                _ => Err(RestartError::Unknown(name.to_owned())),
            };
        }
        match name {
            "" | "no" => Ok(RestartPolicy::No),
            "always" => Ok(RestartPolicy::Always),
            "unless-stopped" => Ok(RestartPolicy::UnlessStopped),
            "on-failure" => {
                u32::try_from(maximum).map(RestartPolicy::OnFailure).map_err(|_| RestartError::Negative)
            }
            _ => Err(RestartError::Unknown(name.to_owned())),
        }
    }
}

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// Docker's text.
    #[error(
        "invalid restart policy: unknown policy '{0}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
    )]
    Unknown(String),
    /// Docker's text.
    #[error("invalid restart policy: maximum retry count can only be used with 'on-failure'")]
    CountOnlyOnFailure(String),
    /// Docker's text.
    #[error("invalid restart policy: maximum retry count cannot be negative")]
    Negative,
}
