//! The start after a crash and the start after a calm end are one: read the records, look at the bundles, find every
//! shim again, and bring what is and what should be together.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gantry_errdefs::chain;
use gantry_names::ContainerId;
use gantry_shim_client::{Found, Status};
use gantry_snapshots::Kind;
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::container::Container;
use crate::engine::{Engine, blocking};
use crate::error::Result;
use crate::record::{MountPointKind, Process, State};
use crate::restart;

/// How long a shim may take to answer; all are asked at once.
const SHIM_BUDGET: Duration = Duration::from_secs(2);

impl Engine {
    /// Brings records, shims and disk together. Call once, before the first request.
    ///
    /// # Errors
    /// When its two roots are not of one engine, and something runs.
    pub async fn restore(&self) -> Result<()> {
        self.keep_to_roots()?;
        for told in &self.inner.damaged {
            tracing::error!(told, "damaged record");
        }
        let all = self.registry().all();
        self.hold_volumes(&all);
        let mut tasks = JoinSet::new();
        for container in &all {
            let (engine, container) = (self.clone(), Arc::clone(container));
            tasks.spawn(async move { engine.restore_one(&container).await });
        }
        while let Some(done) = tasks.join_next().await {
            if let Err(err) = done {
                tracing::error!(%err, "restore a container");
            }
        }
        let engine = self.clone();
        let settled = blocking(move || engine.inner.volumes.settle()).await;
        if let Err(err) = settled {
            tracing::warn!(err = chain(&err), "settle volumes");
        }
        let engine = self.clone();
        blocking(move || engine.restore_networks()).await;
        self.remove_orphans().await;
        self.inner.restored.send_replace(true);
        self.start_by_policy().await;
        let freed = self.sweep(crate::images::SPARED_AT_START).await;
        if freed > 0 {
            tracing::info!(bytes = freed, "freed what no image needs");
        }
        Ok(())
    }

    fn hold_volumes(&self, all: &[Arc<Container>]) {
        for container in all {
            let record = container.record();
            for point in record.mounts.iter().filter(|point| point.kind == MountPointKind::Volume) {
                if let Err(err) = self.inner.volumes.hold(&point.name, &record.id) {
                    tracing::warn!(%err, container = %record.id, "a volume of a container is gone");
                }
            }
        }
    }

    async fn restore_one(&self, container: &Arc<Container>) {
        let record = container.record();
        let bundle = self.inner.shims.bundle(&container.id);
        let Ok(gate) = container.enter().await else { return };
        match &record.state {
            // A crash in the middle of a create undoes it; in the middle of a removal, finishes it.
            State::Creating | State::Removing { .. } => {
                if let Err(err) = self.remove_locked(container, true).await {
                    tracing::error!(err = chain(&err), container = %container.id, "finish a removal");
                }
                return;
            }
            State::Running(_) | State::Paused(_) => {}
            // A bundle without a running record is a start that a crash cut off: it is undone. A container that waited
            // for its restart waits again.
            state => {
                let restarting = matches!(state, State::Restarting { .. });
                if bundle.exists() {
                    self.undo_start(container, &bundle).await;
                }
                if restarting {
                    let delay = container.live().last_delay.max(restart::FIRST_DELAY);
                    self.back_off(container, delay);
                }
                return;
            }
        }
        match self.inner.shims.reconnect(&bundle, SHIM_BUDGET).await {
            Ok(Found::Alive(shim, state)) if state.status != Status::Stopped => {
                container.live().shim = Some(shim.clone());
                self.mount_again(container).await;
                if let (State::Running(_), Status::Paused) = (&record.state, state.status) {
                    // A commit froze it and was cut off: nobody who asked for a pause was told that it is paused.
                    if let Err(err) = shim.resume().await {
                        tracing::error!(err = chain(&err), container = %container.id, "thaw after a cut commit");
                    }
                }
                if let (State::Paused(process), Status::Running) = (&record.state, state.status) {
                    let process: Process = process.clone();
                    container.update(|record| record.state = State::Running(process));
                }
                self.keep(container, shim);
                self.watch_health(container);
            }
            Ok(Found::Alive(shim, state)) => {
                container.live().shim = Some(shim);
                self.record_exit(container, &state.exit.unwrap_or_else(crate::container::lost_exit)).await;
            }
            Ok(Found::Exited(exit)) => self.record_exit(container, &exit).await,
            Ok(Found::Nothing) => {
                let exit = match self.inner.shims.clean(&bundle).await {
                    Ok(Some(exit)) => exit,
                    Ok(None) => crate::container::lost_exit(),
                    Err(err) => {
                        tracing::warn!(err = chain(&err), container = %container.id, "clean after a lost shim");
                        crate::container::lost_exit()
                    }
                };
                self.record_exit(container, &exit).await;
            }
            // It may be running: it is left alone, and shown as it was recorded.
            Err(err) => {
                tracing::error!(err = chain(&err), container = %container.id, "a shim does not answer")
            }
        }
        drop(gate);
    }

    /// Ends whatever a cut-off start has left.
    async fn undo_start(&self, container: &Arc<Container>, bundle: &Path) {
        if let Ok(Found::Alive(shim, _)) = self.inner.shims.reconnect(bundle, SHIM_BUDGET).await {
            container.live().shim = Some(shim);
        } else if let Err(err) = self.inner.shims.clean(bundle).await {
            tracing::warn!(err = chain(&err), container = %container.id, "clean after a half-done start");
        }
        self.tear_down(container).await;
    }

    /// Volumes that are mounted for a container that runs on.
    async fn mount_again(&self, container: &Arc<Container>) {
        let (engine, record) = (self.clone(), container.record());
        blocking(move || {
            for point in
                record.mounts.iter().filter(|point| !point.name.is_empty() && !point.driver.is_empty())
            {
                if let Err(err) = engine.inner.volumes.mount(&point.name, &record.id) {
                    tracing::warn!(%err, container = %record.id, "mount volume again");
                }
            }
        })
        .await;
    }

    /// Bundles, folders and snapshots that no record names.
    async fn remove_orphans(&self) {
        let known: HashSet<ContainerId> =
            self.registry().all().iter().map(|container| container.id.clone()).collect();
        // A damaged record is not a missing one: what it names stays for whoever can repair it.
        if !self.inner.damaged.is_empty() {
            return;
        }
        let orphan = |name: &str| ContainerId::parse(name).ok().filter(|id| !known.contains(id));
        for name in names_in(&self.config().exec_root) {
            let Some(id) = orphan(&name) else { continue };
            let bundle = self.inner.shims.bundle(&id);
            if let Ok(Found::Alive(shim, _)) = self.inner.shims.reconnect(&bundle, SHIM_BUDGET).await {
                let _ = shim.shutdown().await;
            } else if let Err(err) = self.inner.shims.clean(&bundle).await {
                tracing::warn!(err = chain(&err), %id, "clean an orphaned bundle");
            }
            if let Err(err) = self.inner.shims.remove(&bundle).await {
                tracing::warn!(%err, %id, "remove an orphaned bundle");
            }
        }
        let engine = self.clone();
        let known: HashSet<ContainerId> = known.clone();
        blocking(move || {
            let orphan = |name: &str| ContainerId::parse(name).ok().filter(|id| !known.contains(id));
            for name in names_in(&engine.config().data_root.join("containers")) {
                if let Some(id) = orphan(&name) {
                    let _ = std::fs::remove_dir_all(engine.container_dir(&id));
                }
            }
            let snapshots = engine.inner.images.snapshots();
            for info in snapshots.walk().unwrap_or_default() {
                if info.kind == Kind::Active && orphan(&info.name).is_some() {
                    let _ = snapshots.remove(&info.name);
                }
            }
        })
        .await;
    }

    /// What was down when the engine came, and is to be up.
    async fn start_by_policy(&self) {
        let mut tasks = JoinSet::new();
        let mut coming = Vec::new();
        let mut waiting = Vec::new();
        for container in self.registry().all() {
            let record = container.record();
            if record.state.is_alive() {
                coming.push(container);
                continue;
            }
            let State::Exited { exit, .. } = &record.state else { continue };
            // Containers that were ended with the engine itself come back as if they had run on.
            if !restart::at_engine_start(record.spec.restart, record.stopped_by_hand, true, exit.code) {
                continue;
            }
            coming.push(Arc::clone(&container));
            if Engine::waits_for_others(&record) {
                waiting.push(container);
                continue;
            }
            let engine = self.clone();
            tasks.spawn(async move { engine.start_one_by_policy(&container).await });
        }
        // Nobody waits for these: requests are answered meanwhile. They end with the engine's drain.
        let coming: Arc<[Arc<Container>]> = coming.into();
        for container in waiting {
            let (engine, coming) = (self.clone(), Arc::clone(&coming));
            tokio::spawn(async move {
                let before = container.record();
                engine.wait_for_others(&before, &coming).await;
                // Somebody may have stopped it meanwhile, or the engine ends.
                let stopped = container.record().stopped_by_hand != before.stopped_by_hand;
                if !stopped && !engine.inner.draining.load(Ordering::Acquire) {
                    engine.start_one_by_policy(&container).await;
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn start_one_by_policy(&self, container: &Arc<Container>) {
        let Ok(_gate) = container.enter().await else { return };
        if container.record().state.is_alive() {
            return;
        }
        if let Err(err) = self.start_locked(container).await {
            tracing::warn!(err = chain(&err), container = %container.id, "start by policy");
        }
    }

    /// The engine's calm end. Containers are stopped, unless they are to live on.
    pub async fn shutdown(&self) {
        self.inner.draining.store(true, Ordering::Release);
        for container in self.registry().all() {
            self.cancel_back_off(&container);
        }
        if self.config().live_restore {
            self.end_networks().await;
            return;
        }
        let begun = Timestamp::now();
        let mut tasks = JoinSet::new();
        for container in self.registry().all() {
            let engine = self.clone();
            tasks.spawn(async move { engine.stop_for_shutdown(&container).await });
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        let records = self.registry().all();
        let stops =
            records.iter().filter(|c| c.record().state.is_alive()).map(|c| c.record().spec.stop_timeout);
        let patience = patience(self.config().shutdown_timeout, stops);
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!(since = %begun, "some containers did not end in time and run on");
        }
        self.end_networks().await;
    }

    /// Ends wait for tasks of the runtime, so they are not waited for on one of its threads.
    async fn end_networks(&self) {
        let network = self.inner.network.clone();
        if let Err(err) = tokio::task::spawn_blocking(move || network.shutdown()).await {
            tracing::warn!(%err, "end the networks");
        }
    }

    async fn stop_for_shutdown(&self, container: &Arc<Container>) {
        let record = container.record();
        if !record.state.is_alive() {
            return;
        }
        let signal = crate::signal::parse(&record.spec.stop_signal).unwrap_or(crate::signal::SIGTERM);
        let before = record.stopped_by_hand;
        if let Err(err) = self.stop(container, signal, None).await {
            tracing::warn!(err = chain(&err), container = %container.id, "stop for the engine's end");
        }
        // The engine's end is nobody's stop by hand.
        if let Err(err) = self.change(container, |record| record.stopped_by_hand = before).await {
            tracing::warn!(err = chain(&err), container = %container.id, "record a stop");
        }
    }
}

/// How long the engine's end waits for its containers: as long as it was told to, and never shorter than a container may
/// take to stop (in seconds; below zero: for ever) and the little more that its end needs. As Docker has it.
fn patience(told: Duration, stops: impl Iterator<Item = Option<i64>>) -> Duration {
    const GRACE_S: u64 = 5;
    stops.fold(told, |longest, stop| {
        let seconds = u64::try_from(stop.unwrap_or(crate::container::stop::STOP_TIMEOUT_S));
        longest.max(
            seconds.map_or(Duration::MAX, |seconds| Duration::from_secs(seconds.saturating_add(GRACE_S))),
        )
    })
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_waits_as_long_as_its_most_patient_container() {
        let s = Duration::from_secs;
        assert_eq!(patience(s(15), [].into_iter()), s(15));
        assert_eq!(patience(s(1), [None].into_iter()), s(15));
        assert_eq!(patience(s(15), [Some(60), Some(1)].into_iter()), s(65));
        assert_eq!(patience(s(1), [Some(-1)].into_iter()), Duration::MAX);
    }
}
