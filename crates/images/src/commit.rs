use gantry_names::{ImageId, Platform, Reference};
use jiff::Timestamp;

use crate::config::RootFs;
use crate::layer::DEPTH_LIMIT;
use crate::tag::as_tag;
use crate::{CreateOptions, Error, HistoryEntry, ImageConfig, ImageStore, Result, RunConfig};

/// What an image is made of when a container is committed.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    /// The container's writable snapshot.
    pub snapshot: String,
    /// The image the container was made from.
    pub parent: Option<ImageId>,
    /// The container's id.
    pub container: String,
    /// How a container of the new image runs, changes applied.
    pub config: RunConfig,
    /// What the container itself ran: its command becomes the history's line.
    pub created_by: String,
    /// `-a`.
    pub author: String,
    /// `-m`.
    pub comment: String,
    /// The name it gets.
    pub reference: Option<Reference>,
}

impl ImageStore {
    /// Makes an image from a container's changes on top of the container's image.
    pub fn commit(&self, request: &CommitRequest) -> Result<ImageId> {
        let names = request.reference.as_ref().map(as_tag).transpose()?;
        let lease = self.lease();
        let parent = request.parent.as_ref().map(|id| self.held(&lease, id)).transpose()?;
        let mut config = match &parent {
            Some(parent) => (*parent.config).clone(),
            None => {
                let host = Platform::host();
                ImageConfig { architecture: host.architecture, os: host.os, ..ImageConfig::default() }
            }
        };
        let mut layers = parent.as_ref().map(|parent| parent.record.layers.clone()).unwrap_or_default();
        if layers.len() >= DEPTH_LIMIT {
            return Err(Error::TooDeep);
        }
        let chain = config.chain_id();
        let layer = self.layer_of_snapshot(&lease, &request.snapshot, chain.as_ref(), false)?;
        let now = Timestamp::now().to_string();
        config.history.push(HistoryEntry {
            created: Some(now.clone()),
            created_by: request.created_by.clone(),
            author: request.author.clone(),
            comment: request.comment.clone(),
            empty_layer: layer.is_none(),
            ..HistoryEntry::default()
        });
        let rootfs = config.rootfs.get_or_insert_with(RootFs::default);
        rootfs.diff_ids.extend(layer.iter().map(|layer| layer.diff_id.clone()));
        layers.extend(layer);
        config.created = Some(now);
        config.author.clone_from(&request.author);
        config.comment.clone_from(&request.comment);
        config.container.clone_from(&request.container);
        config.container_config = None;
        config.config = Some(request.config.clone());
        let bytes = serde_json::to_vec(&config).map_err(std::io::Error::other)?;
        let options = CreateOptions {
            parent: request.parent.clone(),
            built_here: true,
            names: names.into_iter().collect(),
            ..CreateOptions::default()
        };
        self.create(&bytes, layers, &options)
    }
}
