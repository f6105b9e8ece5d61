//! In which order containers come up when the engine starts: a project's dependencies hold after a reboot of the machine
//! as they did at `compose up`.
//!
//! The order is in the labels that Compose writes on every container: `com.docker.compose.depends_on` is
//! `db:service_healthy:false,cache:service_started:true`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::container::Container;
use crate::engine::Engine;
use crate::record::{ContainerRecord, HealthStatus, State};

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// A dependency that has not come up after so long does not keep the others down.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// When a dependency counts as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Started,
    Healthy,
    Completed,
}

/// The services that a container's depends on, and how.
fn needs(record: &ContainerRecord) -> Vec<(String, Condition)> {
    let text = record.spec.labels.get(DEPENDS_ON).map_or("", String::as_str);
    let part = |part: &str| {
        let mut words = part.split(':');
        let service = words.next().filter(|name| !name.is_empty())?.to_owned();
        let condition = match words.next() {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::Completed,
            _ => Condition::Started,
        };
        Some((service, condition))
    };
    text.split(',').filter_map(part).collect()
}

/// Whether a container is as those who wait for it need it.
fn met(record: &ContainerRecord, condition: Condition) -> bool {
    match condition {
        Condition::Started => record.state.is_alive(),
        Condition::Healthy => {
            let well = record.health.as_ref().is_none_or(|health| health.status == HealthStatus::Healthy);
            record.state.is_alive() && well
        }
        Condition::Completed => matches!(&record.state, State::Exited { exit, .. } if exit.code == 0),
    }
}

impl Engine {
    /// Whether a container has to wait for others when the engine starts.
    pub(crate) fn waits_for_others(record: &ContainerRecord) -> bool {
        record.spec.labels.contains_key(PROJECT) && !needs(record).is_empty()
    }

    /// Waits until what a container's service depends on is there. Only containers that are up or `coming` are waited
    /// for: one that nobody starts will not come.
    pub(crate) async fn wait_for_others(&self, record: &ContainerRecord, coming: &[Arc<Container>]) {
        let begun = tokio::time::Instant::now();
        let project = record.spec.labels.get(PROJECT);
        for (service, condition) in needs(record) {
            let wanted: Vec<&Arc<Container>> = coming
                .iter()
                .filter(|other| {
                    let labels = &other.record().spec.labels;
                    labels.get(PROJECT) == project && labels.get(SERVICE) == Some(&service)
                })
                .collect();
            while !wanted.iter().all(|other| met(&other.record(), condition)) {
                if self.inner.draining.load(Ordering::Acquire) {
                    return;
                }
                if begun.elapsed() > PATIENCE {
                    tracing::warn!(container = %record.id, service, "a dependency did not come up in time");
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
