//! `container prune`.

use crate::admission::Verb;
use crate::engine::Engine;
use crate::error::Result;
use crate::filters::{self, Filters};
use crate::system::Pruned;

impl Engine {
    /// Removes every container that does not run.
    pub async fn container_prune(&self, filters: Filters) -> Result<Pruned> {
        filters::check(&filters, &["label", "label!", "until"])?;
        let until = filters::until(&filters)?;
        let mut pruned = Pruned::default();
        let all = self.registry().all();
        for container in all {
            let Ok(_gate) = container.enter().await else { continue };
            let record = container.record();
            if container.admit(Verb::Remove { force: false }).is_err()
                || !filters::labels_match(&filters, &record.spec.labels)
                || until.is_some_and(|until| record.created >= until)
            {
                continue;
            }
            let bytes = self.sizes(&record).await.map_or(0, |(own, _)| own);
            self.remove_locked(&container, false).await?;
            pruned.reclaimed += bytes;
            pruned.deleted.push(record.id.to_string());
        }
        let attributes = [("reclaimed".to_owned(), pruned.reclaimed.to_string())].into();
        self.publish(gantry_events::Kind::Container, "prune", "", attributes);
        Ok(pruned)
    }
}
