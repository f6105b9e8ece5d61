use std::io::Read;

use gantry_names::{ImageId, Platform, Reference};
use jiff::Timestamp;

use crate::config::RootFs;
use crate::tag::as_tag;
use crate::{ConfigChange, CreateOptions, HistoryEntry, ImageConfig, ImageStore, Result, RunConfig};

/// What `docker import` is told beside the tar stream.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// `--change`, read by [`parse_changes`](crate::parse_changes).
    pub changes: Vec<ConfigChange>,
    /// `-m`, or where it came from.
    pub message: String,
    /// `--platform`; this machine's where nothing is said.
    pub platform: Option<Platform>,
    /// The name it gets.
    pub reference: Option<Reference>,
}

impl ImageStore {
    /// Makes an image of one layer from a tar stream of a root file system, compressed or not.
    pub fn import(&self, input: impl Read, options: &ImportOptions) -> Result<ImageId> {
        let names = options.reference.as_ref().map(as_tag).transpose()?;
        let lease = self.lease();
        let layer = self.ingest_layer(&lease, None, None, input)?;
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        let now = Timestamp::now().to_string();
        let mut run = RunConfig::default();
        run.apply(&options.changes);
        let config = ImageConfig {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            comment: options.message.clone(),
            created: Some(now.clone()),
            config: Some(run),
            history: vec![HistoryEntry {
                created: Some(now),
                comment: options.message.clone(),
                ..HistoryEntry::default()
            }],
            rootfs: Some(RootFs { diff_ids: vec![layer.diff_id.clone()], ..RootFs::default() }),
            ..ImageConfig::default()
        };
        let bytes = serde_json::to_vec(&config).map_err(std::io::Error::other)?;
        let options = CreateOptions {
            built_here: true,
            names: names.into_iter().collect(),
            ..CreateOptions::default()
        };
        self.create(&bytes, vec![layer], &options)
    }
}
