use gantry_names::Reference;
use jiff::Timestamp;

use crate::config::parse_time;
use crate::{Error, ImageStore, Result};

/// One line of `docker history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryItem {
    /// The image as it was after this step, or `<missing>`.
    pub id: String,
    /// When, seconds since 1970; 0 if unknown.
    pub created: i64,
    /// By which command.
    pub created_by: String,
    /// Names of that image.
    pub tags: Vec<String>,
    /// Bytes the step added.
    pub size: u64,
    /// Why.
    pub comment: String,
}

impl ImageStore {
    /// How an image came to be, newest step first.
    pub fn history(&self, name: &str) -> Result<Vec<HistoryItem>> {
        let catalog = self.catalog();
        let image = self.image_in(&catalog, &crate::resolve::resolve_in(&catalog, name)?)?;
        let mut layers = image.record.layers.iter();
        let mut items = Vec::new();
        for step in &image.config.history {
            let size = match step.empty_layer {
                true => 0,
                false => layers.next().map(|layer| layer.size).ok_or_else(|| Error::Config {
                    id: image.id.to_string(),
                    why: "too many non-empty layers in History section".to_owned(),
                })?,
            };
            items.push(HistoryItem {
                id: "<missing>".to_owned(),
                created: parse_time(step.created.as_deref()).map_or(0, Timestamp::as_second),
                created_by: step.created_by.clone(),
                tags: Vec::new(),
                size,
                comment: step.comment.clone(),
            });
        }
        items.reverse();
        let mut id = Some(image.id);
        for item in &mut items {
            let Some(known) = id.filter(|id| catalog.record(id).is_some()) else { break };
            item.id = known.to_string();
            let tags = catalog.names(&known);
            item.tags = tags.iter().filter(|name| name.digest().is_none()).map(Reference::familiar).collect();
            id = catalog.record(&known).and_then(|record| record.parent.clone());
        }
        Ok(items)
    }
}
