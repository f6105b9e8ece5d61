use gantry_names::{ChainId, DiffId, Digest, ImageId, Reference};
use gantry_store::{Migration, Table};
use serde::{Deserialize, Serialize};

/// Images by id.
pub(crate) const RECORDS: Table<ImageId, Record> = Table::new("images.records");
/// Names by their full text: `docker.io/library/ubuntu:14.04`, `docker.io/library/ubuntu@sha256:...`.
pub(crate) const REFERENCES: Table<Reference, ImageId> = Table::new("images.references");

/// Version 1: the two tables, nothing to change.
pub(crate) const MIGRATIONS: &[Migration] = &[|_| Ok(())];

/// What is known of an image beside its config document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its layers, lowest first; as many as the config has diff ids.
    pub layers: Vec<Layer>,
    /// The image it was made from on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ImageId>,
    /// The manifest it came by, a blob here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The index that manifest was chosen from, a blob here; what its repository digest names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// Everything else that index names, blobs here: attestations, other platforms' documents and layers. Empty where only
    /// this image came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<Digest>,
    /// When it last got a name, nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_tagged_ns: Option<i64>,
    /// Whether it was made here (commit, build), so that a build may take it from its cache.
    #[serde(default)]
    pub built_here: bool,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The digest of its uncompressed tar.
    pub diff_id: DiffId,
    /// Its blob as it came.
    pub blob: Digest,
    /// That blob's media type.
    pub media_type: String,
    /// That blob's size in bytes.
    pub blob_size: u64,
    /// What it unpacks to, in bytes.
    pub size: u64,
}

impl Record {
    /// The index, where all that it names is here: the image can go with it.
    pub fn whole(&self) -> Option<&Digest> {
        self.index.as_ref().filter(|_| !self.companions.is_empty())
    }

    /// Every blob the image needs, its config not counted.
    pub fn blobs(&self) -> impl Iterator<Item = &Digest> {
        let own = self.layers.iter().map(|layer| &layer.blob);
        own.chain(&self.manifest).chain(&self.index).chain(&self.companions)
    }

    /// The chain that each layer is the top of, lowest first.
    pub(crate) fn chains(&self) -> Vec<ChainId> {
        let mut chains = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            chains.push(ChainId::extend(chains.last(), &layer.diff_id));
        }
        chains
    }
}
