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
            text => signal::parse(text).ok_or_else(|| refusal(text))?,
        };
        let container = self.find(name)?;
        {
            let gate = container.enter().await?;
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

/// A number may be no signal of this system, a word none of any.
fn refusal(text: &str) -> Error {
    Error::Invalid(match text.parse::<i32>() {
        Ok(number) if number != 0 => format!("the linux daemon does not support signal {number}"),
        _ => format!("invalid signal: {text}"),
    })
}
