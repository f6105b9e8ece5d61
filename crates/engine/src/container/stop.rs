//! `stop` and `restart`.

use std::sync::Arc;
use std::time::Duration;

use gantry_shim_client::ShimError;

use super::Container;
use crate::admission::Verb;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::{ContainerRecord, State};
use crate::signal::{self, SIGKILL, SIGTERM};

/// Docker's patience.
pub(crate) const STOP_TIMEOUT_S: i64 = 10;
/// How long the end after a kill may take before the caller is told.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

impl Engine {
    /// Ends a container's process: its stop signal, and after the timeout SIGKILL. Class not-modified when it does not
    /// run. A negative timeout waits for ever.
    pub async fn container_stop(
        &self,
        name: &str,
        signal: Option<&str>,
        timeout_s: Option<i64>,
    ) -> Result<()> {
        let container = self.find(name)?;
        container.admit(Verb::Stop)?;
        let signal = chosen_signal(&container.record(), signal)
            .map_err(|err| Error::Invalid(format!("cannot stop container: {name}: {err}")))?;
        self.stop(&container, signal, timeout_s).await
    }

    /// Stops it if it runs, and starts it.
    pub async fn container_restart(
        &self,
        name: &str,
        signal: Option<&str>,
        timeout_s: Option<i64>,
    ) -> Result<()> {
        let container = self.find(name)?;
        let signal = chosen_signal(&container.record(), signal)?;
        if container.admit(Verb::Stop).is_ok() {
            self.keep_from_removal(&container, true);
            let stopped = self.stop(&container, signal, timeout_s).await;
            self.keep_from_removal(&container, false);
            stopped?;
        }
        let _gate = container.enter().await?;
        container.admit(Verb::Start)?;
        self.cancel_back_off(&container);
        container.update(|record| {
            record.restart_count = 0;
            record.stopped_by_hand = false;
        });
        self.start_locked(&container).await?;
        self.container_event(&container.record(), "restart", &[]);
        Ok(())
    }

    /// An auto-removed container survives its own restart.
    fn keep_from_removal(&self, container: &Container, keep: bool) {
        container.live().kept = keep;
    }

    pub(crate) async fn stop(
        &self,
        container: &Arc<Container>,
        signal: i32,
        mut timeout_s: Option<i64>,
    ) -> Result<()> {
        let mut moment = container.moment();
        {
            // One that has removed itself at its end is stopped.
            let Ok(_gate) = container.enter().await else { return Ok(()) };
            let record = container.record();
            match &record.state {
                State::Restarting { exit } => {
                    self.cancel_back_off(container);
                    let exit = exit.clone();
                    self.change(container, |record| {
                        record.stopped_by_hand = true;
                        record.state = State::Exited { exit, failure: None };
                    })
                    .await?;
                    self.container_event(&record, "stop", &[]);
                    container.tell(|moment| moment.alive = false);
                    return Ok(());
                }
                state if !state.is_alive() => return Ok(()),
                _ => {}
            }
            container.live().stop_asked = true;
            self.hand_over_ports(container).await;
            match self.send_signal(container, &record, signal).await {
                // Nothing was delivered, so there is nothing to wait for.
                Err(Error::Shim(ShimError::Stopped(_))) => timeout_s = Some(0),
                other => other?,
            }
        }
        let timeout = timeout_s.or(container.record().spec.stop_timeout).unwrap_or(STOP_TIMEOUT_S);
        let ended = moment.wait_for(|moment| !moment.alive || moment.removed);
        let patient = match u64::try_from(timeout) {
            Ok(seconds) => tokio::time::timeout(Duration::from_secs(seconds), ended).await.is_ok(),
            Err(_) => ended.await.is_ok(),
        };
        if !patient {
            self.kill_now(container).await?;
        }
        self.container_event(&container.record(), "stop", &[]);
        Ok(())
    }

    /// SIGKILL, and waits for the end.
    pub(crate) async fn kill_now(&self, container: &Arc<Container>) -> Result<()> {
        {
            let Ok(_gate) = container.enter().await else { return Ok(()) };
            let record = container.record();
            if !record.state.is_alive() {
                return Ok(());
            }
            container.live().stop_asked = true;
            self.hand_over_ports(container).await;
            self.send_signal(container, &record, SIGKILL).await?;
        }
        self.await_end(container).await
    }

    /// Waits for the end of a container that was sent SIGKILL.
    pub(super) async fn await_end(&self, container: &Arc<Container>) -> Result<()> {
        let mut moment = container.moment();
        let ended = moment.wait_for(|moment| !moment.alive || moment.removed);
        match tokio::time::timeout(KILL_PATIENCE, ended).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Unavailable(format!(
                "container {} did not exit within {} seconds of the kill",
                container.id,
                KILL_PATIENCE.as_secs()
            ))),
        }
    }

    /// Sends a signal to a living container whose gate the caller holds; a frozen one is thawed so that it can end.
    pub(super) async fn send_signal(
        &self,
        container: &Arc<Container>,
        record: &ContainerRecord,
        signal: i32,
    ) -> Result<()> {
        let shim = container.living_shim()?;
        match shim.signal(None, signal).await {
            Ok(()) => {}
            // It has ended meanwhile: that is what was wanted.
            Err(err) if gantry_errdefs::Classified::class(&err) == gantry_errdefs::Class::NotFound => {}
            // A keeper that stands still is no way to the container's end. It is ended, and the undertaker comes.
            Err(ShimError::Stopped(pid)) if signal == SIGKILL => {
                tracing::warn!(container = %container.id, pid, "the container's shim is stopped: it is killed");
                shim.kill().map_err(Error::io("kill the container's shim"))?;
                self.container_event(record, "kill", &[("signal", signal.to_string())]);
                return Ok(());
            }
            Err(err) => return Err(err.into()),
        }
        self.container_event(record, "kill", &[("signal", signal.to_string())]);
        if let State::Paused(process) = &record.state {
            let process = process.clone();
            shim.resume().await?;
            self.change(container, |record| record.state = State::Running(process)).await?;
        }
        Ok(())
    }
}

/// The signal a stop sends: the caller's, the container's, or SIGTERM.
fn chosen_signal(record: &ContainerRecord, asked: Option<&str>) -> Result<i32> {
    match asked.filter(|asked| !asked.is_empty()) {
        Some(asked) => signal::parse(asked).ok_or_else(|| Error::Invalid(format!("invalid signal: {asked}"))),
        None => Ok(signal::parse(&record.spec.stop_signal).unwrap_or(SIGTERM)),
    }
}
