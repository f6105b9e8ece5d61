//! `rm`. The record goes first: from then on the container is gone, and what is left on disk is removed here, or by the
//! next start of the engine. Anonymous volumes that go with it are named by an intent written before.

use std::sync::Arc;

use super::Container;
use crate::admission::Verb;
use crate::engine::{CONTAINERS, Engine, blocking};
use crate::error::{Error, Result};
use crate::record::{ContainerRecord, State};

impl Engine {
    /// Removes a container; with `force` it is killed first, with `volumes` its anonymous volumes go, too.
    pub async fn container_remove(&self, name: &str, force: bool, volumes: bool, link: bool) -> Result<()> {
        if link {
            return self.remove_link(name).await;
        }
        let container = self.find(name)?;
        let record = container.admit(Verb::Remove { force })?;
        if record.state.is_alive() {
            self.kill_now(&container).await?;
        }
        // It removed itself at its end, or somebody else did.
        let Ok(_gate) = container.enter().await else { return Ok(()) };
        self.cancel_back_off(&container);
        let record = container.admit(Verb::Remove { force })?;
        if record.state.is_alive() {
            return Err(Error::Conflict(format!(
                "cannot remove container \"{}\": it was started meanwhile",
                record.name
            )));
        }
        self.remove_locked(&container, volumes).await
    }

    async fn remove_link(&self, name: &str) -> Result<()> {
        let path = name.trim_start_matches('/');
        let Some((parent, alias)) = path.split_once('/') else {
            self.find(path)?;
            let text = "Conflict, cannot remove the default link name of the container";
            return Err(Error::Conflict(text.to_owned()));
        };
        let container = self.find(parent)?;
        let _gate = container.enter().await?;
        let record = container.record();
        let known = |link: &String| link.rsplit_once(':').map_or(link.as_str(), |(_, alias)| alias) == alias;
        if !record.spec.links.iter().any(known) {
            return Err(Error::Invalid(format!("Cannot get parent /{parent} for link {name}")));
        }
        self.change(&container, |record| record.spec.links.retain(|link| !known(link))).await
    }

    /// Removes a container that does not run and whose gate the caller holds.
    pub(crate) async fn remove_locked(&self, container: &Arc<Container>, volumes: bool) -> Result<()> {
        container.tell(|moment| moment.leaving = true);
        // Their streams end before the removal is answered, as Docker's do: a client that leaves one open and goes
        // would find it open still.
        container.followers_end().await;
        let taken = self.take_away(container, volumes).await;
        if taken.is_err() {
            container.tell(|moment| moment.leaving = false);
        }
        taken
    }

    async fn take_away(&self, container: &Arc<Container>, volumes: bool) -> Result<()> {
        let record = container.record();
        let doomed = volumes && record.mounts.iter().any(|point| point.anonymous);
        if doomed {
            let exit = record.state.exit().cloned();
            self.change(container, |record| record.state = State::Removing { exit }).await?;
        }
        let (engine, id) = (self.clone(), record.id.clone());
        let mut left = ContainerRecord::clone(&record);
        if !volumes {
            left.mounts.retain(|point| !point.anonymous);
        }
        let shown = Arc::clone(container);
        blocking(move || -> Result<()> {
            if !doomed {
                engine.inner.store.write_freeing(|tx| tx.remove(CONTAINERS, &id))?;
            }
            engine.forget_network(&left);
            engine.unmake_blocking(&left, doomed);
            engine.registry_mut().remove(&shown);
            Ok(())
        })
        .await?;
        self.forget_execs(&record.id);
        container.live().pending.clear();
        self.container_event(&record, "destroy", &[]);
        container.tell(|moment| {
            moment.removed = true;
            moment.alive = false;
        });
        Ok(())
    }
}
