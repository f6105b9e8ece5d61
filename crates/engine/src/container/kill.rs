//! `kill`.

use crate::admission::Verb;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::State;
use crate::signal::{self, SIGKILL};

impl Engine {
    /// Sends a signal; without one, SIGKILL and then waits for the end.
    pub async fn container_kill(&self, name: &str, signal: &str) -> Result<()> {
        let number = match signal {
            "" => SIGKILL,
            text => signal::parse(text).ok_or_else(|| Error::Invalid(format!("invalid signal: {text}")))?,
        };
        let container = self.find(name)?;
        {
            let gate = container.gate.lock().await;
            let record = container.admit(Verb::Kill)?;
            if matches!(record.state, State::Restarting { .. }) {
                drop(gate);
                return self.stop(&container, number, None).await;
            }
            let stop_signal = signal::parse(&record.spec.stop_signal).unwrap_or(signal::SIGTERM);
            // As Docker: what would stop it for good keeps the restart policy still; other signals do not.
            if number == SIGKILL || number == stop_signal {
                container.live().stop_asked = true;
                self.hand_over_ports(&container).await;
            }
            self.send_signal(&container, &record, number).await?;
        }
        if number == SIGKILL {
            self.await_end(&container).await?;
        }
        Ok(())
    }
}
