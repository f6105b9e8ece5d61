//! Waiting for containers to be what others need them to be.

use std::time::Duration;

use gantry_client::Client;
use serde_json::Value;

use crate::failed::Failed;

/// Between two looks, first and last: the first ones are quick, for what is there in a moment.
const PAUSE_MS: (u64, u64) = (20, 300);

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It runs, and is healthy where somebody looks.
    RunningOrHealthy,
    /// It is healthy.
    Healthy,
    /// It ended with 0.
    Completed,
}

/// Looks at a container, slower and slower, until it is what is wanted or never will be.
pub async fn until(client: &Client, id: &str, service: &str, until: Until) -> Result<(), Failed> {
    let mut pause = PAUSE_MS.0;
    loop {
        let container = client.container_inspect(id, false).await?;
        if reached(&container, service, until)? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = (pause * 2).min(PAUSE_MS.1);
    }
}

/// Waits until a container runs, and is healthy where somebody looks.
pub(crate) async fn until_well(client: &Client, id: &str) -> Result<(), Failed> {
    self::until(client, id, "", Until::RunningOrHealthy).await
}

fn reached(container: &Value, service: &str, until: Until) -> Result<bool, Failed> {
    let name = container["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
    let state = &container["State"];
    let status = state["Status"].as_str().unwrap_or_default();
    let code = state["ExitCode"].as_i64().unwrap_or(0);
    if until == Until::Completed {
        return match status {
            "exited" if code == 0 => Ok(true),
            "exited" => Err(Failed::Incomplete { service: service.to_owned(), code }),
            _ => Ok(false),
        };
    }
    if status == "exited" {
        return Err(Failed::Exited { name, code });
    }
    let test = container["Config"]["Healthcheck"]["Test"].as_array();
    let unchecked = container["Config"]["Healthcheck"].is_null()
        || test.is_some_and(|t| t.first().is_some_and(|word| word == "NONE"));
    if unchecked && until == Until::RunningOrHealthy {
        return Ok(status == "running");
    }
    match state["Health"]["Status"].as_str() {
        Some("healthy") => Ok(true),
        Some("starting") => Ok(false),
        Some("unhealthy") => Err(Failed::Unhealthy(name)),
        _ => Err(Failed::NoHealthcheck(name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(status: &str, code: i64, health: Option<&str>) -> Value {
        let mut all = json!({"Name": "/p-db-1", "State": {"Status": status, "ExitCode": code}, "Config": {}});
        if let Some(health) = health {
            all["State"]["Health"] = json!({"Status": health});
            all["Config"]["Healthcheck"] = json!({"Test": ["CMD", "true"]});
        }
        all
    }

    #[test]
    fn conditions_are_told_apart() {
        let look = |c: &Value, until| reached(c, "db", until).map_err(|e| e.to_string());
        assert_eq!(look(&container("running", 0, None), Until::RunningOrHealthy), Ok(true));
        assert_eq!(look(&container("running", 0, Some("starting")), Until::RunningOrHealthy), Ok(false));
        assert_eq!(look(&container("running", 0, Some("healthy")), Until::Healthy), Ok(true));
        assert_eq!(look(&container("exited", 0, None), Until::Completed), Ok(true));
        let told = look(&container("exited", 3, None), Until::Completed).unwrap_err();
        assert_eq!(told, "service \"db\" didn't complete successfully: exit 3");
        let told = look(&container("running", 0, None), Until::Healthy).unwrap_err();
        assert_eq!(told, "container p-db-1 has no healthcheck configured");
        let told = look(&container("exited", 1, None), Until::Healthy).unwrap_err();
        assert_eq!(told, "container p-db-1 exited (1)");
        let told = look(&container("running", 0, Some("unhealthy")), Until::Healthy).unwrap_err();
        assert_eq!(told, "container p-db-1 is unhealthy");
    }
}
