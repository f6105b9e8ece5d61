//! What a build has made.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_images::{ImageConfig, Layer, Lease};
use gantry_names::{ChainId, Digest};

/// What a build has made: not an image yet, and nobody's but its holder's.
#[derive(Debug)]
pub struct Built {
    /// The image's config, labels included.
    pub config: ImageConfig,
    /// That config's document; its digest is the image's id.
    pub document: Vec<u8>,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// The key of the step that led here; none where there was none.
    pub key: Option<Digest>,
    /// The keys of all steps of the build, each behind the one it stands on.
    pub trail: Vec<Digest>,
    /// The images it stands on or took files from, by name, with the digests their registries know them by.
    pub bases: BTreeMap<String, Digest>,
    /// Holds the layers.
    pub(crate) _lease: Arc<Lease>,
}

impl Built {
    /// The snapshot of all layers; none for an empty root.
    pub fn chain(&self) -> Option<ChainId> {
        self.config.chain_id()
    }
}
