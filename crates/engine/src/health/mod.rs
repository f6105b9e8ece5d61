//! Health checks: a loop beside each running container that has one.
//!
//! `CMD` and `CMD-SHELL` run in the container. `CMD-HTTP` and `CMD-TCP` are ours: they connect inside the container's
//! network namespace and need nothing in the image.

mod judge;
mod probe;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::container::Container;
use crate::engine::Engine;
use crate::record::{Health, HealthStatus, ProbeResult, State};
use judge::Settings;
use probe::Probe;

/// Bytes of a probe's output that are kept.
const OUTPUT_BYTES: usize = 4096;

impl Engine {
    /// Begins to watch a container that has just started, if it has a check.
    pub(crate) fn watch_health(&self, container: &Arc<Container>) {
        let record = container.record();
        let Some(check) = &record.spec.healthcheck else { return };
        let Some(probe) = Probe::of(&check.test, record.spec.shell.as_deref()) else { return };
        let settings = Settings::of(check);
        self.change_health(
            container,
            Health { status: HealthStatus::Starting, failing_streak: 0, log: Vec::new() },
        );
        let (engine, watched) = (self.clone(), Arc::clone(container));
        let task = tokio::spawn(async move { engine.health_loop(&watched, &probe, settings).await });
        if let Some(old) = container.live().health.replace(task.abort_handle()) {
            old.abort();
        }
    }

    async fn health_loop(&self, container: &Arc<Container>, probe: &Probe, settings: Settings) {
        let begun = tokio::time::Instant::now();
        loop {
            let status =
                container.record().health.as_ref().map_or(HealthStatus::Starting, |health| health.status);
            tokio::time::sleep(settings.wait(begun.elapsed(), status)).await;
            match container.record().state {
                State::Running(_) => {}
                // A frozen process cannot answer, and that is no fault of its.
                State::Paused(_) => continue,
                _ => return,
            }
            let result = self.probe(container, probe, settings.timeout).await;
            let record = container.record();
            if !record.state.is_alive() {
                return;
            }
            let before = record.health.clone().unwrap_or(Health {
                status: HealthStatus::Starting,
                failing_streak: 0,
                log: Vec::new(),
            });
            let after = settings.judge(&before, result, begun.elapsed());
            let told = (after.status != before.status).then_some(after.status);
            self.change_health(container, after);
            if let Some(status) = told {
                self.container_event(&record, &format!("health_status: {}", status.as_str()), &[]);
            }
        }
    }

    async fn probe(&self, container: &Arc<Container>, probe: &Probe, timeout: Duration) -> ProbeResult {
        let start = Timestamp::now();
        let (exit_code, output) = match tokio::time::timeout(timeout, self.run_probe(container, probe)).await
        {
            Ok(done) => done,
            Err(_) => (-1, format!("Health check exceeded timeout ({timeout:?})")),
        };
        ProbeResult { start, end: Timestamp::now(), exit_code, output }
    }

    async fn run_probe(&self, container: &Arc<Container>, probe: &Probe) -> (i32, String) {
        match probe {
            Probe::Command(command) => {
                match self.probe_exec(container, command.clone(), OUTPUT_BYTES).await {
                    Ok((code, output)) => (code, String::from_utf8_lossy(&output).into_owned()),
                    Err(err) => (-1, err.to_string()),
                }
            }
            Probe::Tcp { .. } | Probe::Http { .. } => {
                let pid = container.record().state.process().map_or(0, |process| process.pid);
                probe::connect(pid, probe).await
            }
        }
    }

    /// Health is kept in memory: it begins anew with the engine, as Docker's.
    fn change_health(&self, container: &Container, health: Health) {
        container.update(|record| record.health = Some(health));
    }
}
