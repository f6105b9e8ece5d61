//! `resize`.

use crate::admission::Verb;
use crate::engine::Engine;
use crate::error::Result;

impl Engine {
    /// Changes the size of a container's terminal.
    pub async fn container_resize(&self, name: &str, height: u32, width: u32) -> Result<()> {
        let container = self.find(name)?;
        let record = container.admit(Verb::Resize)?;
        container.living_shim()?.resize(None, clamp(height), clamp(width)).await?;
        self.container_event(
            &record,
            "resize",
            &[("height", height.to_string()), ("width", width.to_string())],
        );
        Ok(())
    }
}

/// A terminal's side.
pub(super) fn clamp(side: u32) -> u16 {
    u16::try_from(side).unwrap_or(u16::MAX)
}
