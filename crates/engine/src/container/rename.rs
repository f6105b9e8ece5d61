//! `rename`.

use gantry_names::ContainerName;

use crate::admission::Verb;
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Gives a container another name.
    pub async fn container_rename(&self, name: &str, new: &str) -> Result<()> {
        if new.is_empty() {
            return Err(Error::Invalid("Neither old nor new names may be empty".to_owned()));
        }
        let container = self.find(name)?;
        let new = ContainerName::parse(new.trim_start_matches('/')).map_err(|_| {
            Error::Invalid(format!(
                "Error when allocating new name: Invalid container name (/{}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                new.trim_start_matches('/')
            ))
        })?;
        let _gate = container.enter().await?;
        let record = container.admit(Verb::Rename)?;
        let old = record.name.clone();
        if old == new {
            return Err(Error::Invalid(
                "Renaming a container with the same name as its current name".to_owned(),
            ));
        }
        self.registry_mut()
            .reserve(&new, &container.id)
            .map_err(|err| Error::Conflict(format!("Error when allocating new name: {err}")))?;
        let renamed = new.clone();
        if let Err(err) = self.change(&container, |record| record.name = renamed).await {
            self.registry_mut().release(&new);
            return Err(err);
        }
        self.registry_mut().release(&old);
        self.inner.network.rename(&container.id, &new);
        self.container_event(&container.record(), "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }
}
