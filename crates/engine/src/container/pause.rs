//! `pause` and `unpause`.

use crate::admission::Verb;
use crate::engine::Engine;
use crate::error::Result;
use crate::record::State;

impl Engine {
    /// Freezes a running container.
    pub async fn container_pause(&self, name: &str) -> Result<()> {
        let container = self.find(name)?;
        let _gate = container.enter().await?;
        let record = container.admit(Verb::Pause)?;
        container.living_shim()?.pause().await?;
        if let State::Running(process) = &record.state {
            let process = process.clone();
            self.change(&container, |record| record.state = State::Paused(process)).await?;
        }
        self.container_event(&record, "pause", &[]);
        Ok(())
    }

    /// Thaws a paused container.
    pub async fn container_unpause(&self, name: &str) -> Result<()> {
        let container = self.find(name)?;
        let _gate = container.enter().await?;
        let record = container.admit(Verb::Unpause)?;
        container.living_shim()?.resume().await?;
        if let State::Paused(process) = &record.state {
            let process = process.clone();
            self.change(&container, |record| record.state = State::Running(process)).await?;
        }
        self.container_event(&record, "unpause", &[]);
        Ok(())
    }
}
