//! What happens when a process ends: the keeper hears it, the exit is recorded and told, what the run used is given
//! back, and the restart policy or the auto-removal follow. The same road is taken for an exit found after a restart of
//! the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gantry_errdefs::chain;
use gantry_shim_client::{Event, Exit as ShimExit, ExitRecord, Shim, ShimError};
use jiff::Timestamp;

use super::Container;
use crate::engine::{Engine, blocking};
use crate::record::{Exit, HealthStatus, State};
use crate::restart::{self, After, Run};

impl Engine {
    /// Watches a shim until its container's end.
    pub(crate) fn keep(&self, container: &Arc<Container>, shim: Shim) {
        let (engine, kept) = (self.clone(), Arc::clone(container));
        let task = tokio::spawn(async move {
            let exit = engine.follow(&kept, &shim).await;
            let Ok(_gate) = kept.enter().await else { return };
            engine.exited(&kept, &shim, exit).await;
        });
        container.live().keeper = Some(task.abort_handle());
    }

    /// Hears a shim's events; ends with the container's exit.
    async fn follow(&self, container: &Arc<Container>, shim: &Shim) -> ShimExit {
        let listen = async || -> Result<ShimExit, ShimError> {
            let mut events = shim.events().await?;
            while let Some(event) = events.next().await? {
                match event {
                    Event::Started { .. } => {}
                    Event::Oom => self.container_event(&container.record(), "oom", &[]),
                    Event::Exited { session: None, record } => return Ok(ShimExit::Recorded(record)),
                    Event::Exited { session: Some(session), record } => self.exec_exited(&session, &record),
                }
            }
            shim.wait().await
        };
        match listen().await {
            Ok(exit) => exit,
            Err(ShimError::Gone) => shim.wait().await.unwrap_or(ShimExit::Lost),
            Err(err) => {
                tracing::error!(err = chain(&err), container = %container.id, "watch shim");
                shim.wait().await.unwrap_or(ShimExit::Lost)
            }
        }
    }

    /// Records an exit and does what follows. The caller holds the gate.
    pub(crate) async fn exited(&self, container: &Arc<Container>, shim: &Shim, exit: ShimExit) {
        let current =
            container.shim().is_some_and(|now| now.bundle() == shim.bundle() && now.pid() == shim.pid());
        if !current || !container.record().state.is_alive() {
            return;
        }
        let record = match exit {
            ShimExit::Recorded(record) => record,
            // The shim was killed: what is left of the container is ended, and that is its exit.
            ShimExit::Lost => match self.inner.shims.clean(shim.bundle()).await {
                Ok(Some(record)) => record,
                Ok(None) => lost(),
                Err(err) => {
                    tracing::error!(err = chain(&err), container = %container.id, "clean after a lost shim");
                    lost()
                }
            },
        };
        self.record_exit(container, &record).await;
    }

    /// The part of an exit that needs no shim. The caller holds the gate.
    pub(crate) async fn record_exit(&self, container: &Arc<Container>, ended: &ExitRecord) {
        let before = container.record();
        let Some(process) = before.state.process() else { return };
        let finished_at =
            Timestamp::from_nanosecond(i128::from(ended.at_ns)).unwrap_or_else(|_| Timestamp::now());
        let exit =
            Exit { code: ended.code, oom_killed: ended.oom, started_at: process.started_at, finished_at };
        let length = Duration::try_from(finished_at.duration_since(process.started_at)).unwrap_or_default();
        let (stopped, last_delay, kept) = {
            let mut live = container.live();
            if let Some(health) = live.health.take() {
                health.abort();
            }
            (live.stop_asked, live.last_delay, live.kept)
        };
        let draining = self.inner.draining.load(Ordering::Acquire);
        let run = Run {
            code: exit.code,
            length,
            stopped_by_hand: stopped,
            restarts: before.restart_count,
            last_delay,
        };
        let after = if draining { After::Stay } else { restart::after_exit(before.spec.restart, run) };
        let removing = before.spec.auto_remove && after == After::Stay && !draining && !kept;
        let health = before
            .health
            .clone()
            .map(|health| crate::record::Health { status: HealthStatus::Unhealthy, ..health });
        let noted = self
            .change(container, |record| {
                record.health = health;
                record.stopped_by_hand |= stopped;
                record.state = match after {
                    After::Restart(_) => State::Restarting { exit: exit.clone() },
                    After::Stay => State::Exited { exit: exit.clone(), failure: None },
                };
            })
            .await;
        if let Err(err) = noted {
            tracing::error!(err = chain(&err), container = %container.id, "record an exit");
        }
        self.end_execs(container);
        let execution = length.as_secs();
        let more = [("exitCode", exit.code.to_string()), ("execDuration", execution.to_string())];
        // Before anybody is told: who waited for the end may want the port or the address at once.
        self.give_back(container).await;
        self.container_event(&before, "die", &more);
        container.tell(|moment| {
            moment.exits += 1;
            moment.code = exit.code;
            moment.error = None;
            moment.alive = after != After::Stay;
        });
        self.end_shim(container).await;
        match after {
            After::Restart(delay) => self.back_off(container, delay),
            After::Stay if removing => self.auto_remove(container).await,
            After::Stay => {}
        }
    }

    /// Gives back what a run used: shim, bundle, network, volumes' mounts. Doing it twice is fine.
    pub(crate) async fn tear_down(&self, container: &Arc<Container>) {
        self.give_back(container).await;
        self.end_shim(container).await;
    }

    async fn end_shim(&self, container: &Arc<Container>) {
        let shim = container.live().shim.take();
        if let Some(shim) = shim
            && let Err(err) = shim.shutdown().await
        {
            tracing::warn!(err = chain(&err), container = %container.id, "end shim");
        }
        let bundle = self.inner.shims.bundle(&container.id);
        if let Err(err) = self.inner.shims.remove(&bundle).await {
            tracing::warn!(%err, container = %container.id, "remove bundle");
        }
    }

    /// Leaves the networks and unmounts the volumes of a run that is over.
    async fn give_back(&self, container: &Arc<Container>) {
        let record = container.record();
        let engine = self.clone();
        let comes_back = container.live().kept;
        blocking(move || {
            engine.leave_network(&record, comes_back);
            engine.unbind_mounts(&record);
            engine.mount_events(&record, "unmount");
        })
        .await;
    }

    /// Waits for the next start by policy.
    pub(crate) fn back_off(&self, container: &Arc<Container>, delay: Duration) {
        let (engine, waiting) = (self.clone(), Arc::clone(container));
        let task = tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // The networks are brought together first: a new sandbox must not be taken for an orphan.
            let mut restored = engine.inner.restored.subscribe();
            if restored.wait_for(|restored| *restored).await.is_err() {
                return;
            }
            let Ok(_gate) = waiting.enter().await else { return };
            waiting.live().back_off = None;
            if !matches!(waiting.record().state, State::Restarting { .. }) {
                return;
            }
            waiting.update(|record| record.restart_count += 1);
            if let Err(err) = engine.start_locked(&waiting).await {
                tracing::warn!(err = chain(&err), container = %waiting.id, "restart by policy");
                engine.restart_failed(&waiting);
            }
        });
        let mut live = container.live();
        live.last_delay = delay;
        live.back_off = Some(task.abort_handle());
    }

    /// A start by policy that failed counts as a run that ended at once.
    fn restart_failed(&self, container: &Arc<Container>) {
        let record = container.record();
        let run = Run {
            code: record.state.exit_code().max(1),
            length: Duration::ZERO,
            stopped_by_hand: record.stopped_by_hand,
            restarts: record.restart_count,
            last_delay: container.live().last_delay,
        };
        if let (After::Restart(delay), State::Exited { exit, .. }) =
            (restart::after_exit(record.spec.restart, run), record.state.clone())
        {
            container.update(|record| record.state = State::Restarting { exit });
            self.back_off(container, delay);
        }
    }

    /// Ends the waiting for a start by policy; says whether there was any.
    pub(crate) fn cancel_back_off(&self, container: &Container) -> bool {
        match container.live().back_off.take() {
            Some(waiting) => {
                waiting.abort();
                true
            }
            None => false,
        }
    }

    pub(super) async fn auto_remove(&self, container: &Arc<Container>) {
        if let Err(err) = self.remove_locked(container, true).await {
            tracing::error!(err = chain(&err), container = %container.id, "remove after exit");
        }
    }
}

/// The exit of a container whose end nobody saw.
pub(crate) fn lost() -> ExitRecord {
    let at_ns = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    ExitRecord { code: 137, signal: Some(9), at_ns, oom: false }
}
