use std::sync::Arc;

use gantry_names::{ChainId, ImageId, Reference};
use jiff::Timestamp;

use crate::{ImageConfig, Record};

/// An image as it stands: what `docker image inspect` shows.
#[derive(Debug, Clone)]
pub struct Image {
    /// The digest of its config document.
    pub id: ImageId,
    /// What is recorded beside the document.
    pub record: Record,
    /// The document.
    pub config: Arc<ImageConfig>,
    /// Its names: tags first, then digests.
    pub names: Vec<Reference>,
}

impl Image {
    /// `RepoTags`, in the short form people write.
    pub fn repo_tags(&self) -> Vec<String> {
        self.names.iter().filter(|name| name.digest().is_none()).map(Reference::familiar).collect()
    }

    /// `RepoDigests`, in the short form people write.
    pub fn repo_digests(&self) -> Vec<String> {
        self.names.iter().filter(|name| name.digest().is_some()).map(Reference::familiar).collect()
    }

    /// Bytes of all its layers, unpacked.
    pub fn size(&self) -> u64 {
        self.record.layers.iter().map(|layer| layer.size).sum()
    }

    /// The snapshot that shows it; `None` without layers.
    pub fn chain_id(&self) -> Option<ChainId> {
        self.config.chain_id()
    }

    /// When it last got a name.
    pub fn last_tagged(&self) -> Option<Timestamp> {
        Timestamp::from_nanosecond(i128::from(self.record.last_tagged_ns?)).ok()
    }

    /// Its comment, or that of its last step.
    pub fn comment(&self) -> &str {
        match self.config.comment.as_str() {
            "" => self.config.history.last().map_or("", |step| &step.comment),
            own => own,
        }
    }
}
