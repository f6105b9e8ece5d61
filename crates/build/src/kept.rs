//! What a step that failed has left, to be looked at.

use std::sync::Arc;

use gantry_images::{CreateOptions, Filters, HistoryEntry, Labels, ListOptions};
use gantry_names::ImageId;

use crate::build::Build;
use crate::cache::Point;
use crate::stage::Prepared;

/// The label of a state that a failed step has left.
pub const FAILED_LABEL: &str = "gantry.build.failed";
/// How many of them are kept.
const FAILED_KEPT: usize = 3;

impl Build {
    /// Keeps what a command that failed has left, as an image without a name.
    pub(crate) async fn keep_failed(
        self: &Arc<Self>,
        snapshot: Prepared,
        point: &Point,
        text: &str,
    ) -> Option<ImageId> {
        if !self.request.keep_failed {
            return None;
        }
        let mut point = point.clone();
        if let Some(layer) = self.layer(snapshot, point.chain().as_ref()).await.ok()? {
            point.config.rootfs.get_or_insert_default().diff_ids.push(layer.diff_id.clone());
            point.layers.push(layer);
            point.config.history.push(HistoryEntry {
                created: Some(self.now()),
                created_by: format!("{text} # failed"),
                ..HistoryEntry::default()
            });
        }
        let config = point.config.config.get_or_insert_default();
        (config.entrypoint, config.healthcheck) = (None, None);
        config.cmd = Some(
            config
                .shell
                .as_ref()
                .and_then(|shell| shell.first().cloned())
                .map_or_else(|| vec!["/bin/sh".to_owned()], |shell| vec![shell]),
        );
        config.labels.get_or_insert_default().insert(FAILED_LABEL.to_owned(), text.to_owned());
        point.config.created = Some(self.now());
        let build = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || {
            let bytes = serde_json::to_vec(&point.config).ok()?;
            let options = CreateOptions { built_here: true, ..CreateOptions::default() };
            let id = build.images.create(&bytes, point.layers.clone(), &options).ok()?;
            Some((id, build.older_failures()))
        });
        let (id, older) = made.await.ok()??;
        for image in older {
            self.outside.discard(image).await;
        }
        Some(id)
    }

    /// States of failed steps but the newest: they were kept to be looked at, not to fill the disk.
    fn older_failures(&self) -> Vec<ImageId> {
        let labels = Labels::parse([FAILED_LABEL]);
        let filters = Filters { label: labels, dangling: Some(true), ..Filters::default() };
        let options = ListOptions { all: true, filters, ..ListOptions::default() };
        let mut found = self.images.list(&options).unwrap_or_default();
        found.sort_by_key(|summary| std::cmp::Reverse(summary.created));
        found.into_iter().skip(FAILED_KEPT).map(|summary| summary.id).collect()
    }
}
