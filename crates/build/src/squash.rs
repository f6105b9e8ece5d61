//! `--squash`: the layers of a build become one.

use gantry_archive::{Decoder, ExtractOptions, Reader, Whiteouts, extract};
use gantry_images::HistoryEntry;
use gantry_names::{ChainId, ContainerId};
use gantry_snapshots::RootView;

use crate::build::Build;
use crate::cache::Point;
use crate::failure::Cause;
use crate::files::FileError;
use crate::stage::Prepared;

impl Build {
    /// One layer for all of `point`'s but the lowest `below`. Blocking.
    pub(crate) fn squash(&self, point: &Point, below: usize) -> Result<Point, Cause> {
        if point.layers.len() <= below {
            return Ok(point.clone());
        }
        let diff_ids = point.config.diff_ids();
        let parent = ChainId::of(&diff_ids[..below]);
        let key = ContainerId::random();
        let rootfs = self.images.snapshots().prepare(key.as_str(), parent.as_ref().map(ChainId::as_str))?;
        let mut prepared = Prepared { key, parent: parent.clone(), images: self.images.clone(), done: false };
        let view = RootView::of(&rootfs)?;
        let failed = |error: gantry_archive::Error| FileError::io("squash")(std::io::Error::other(error));
        for layer in &point.layers[below..] {
            let blob = self.images.content().open_blob(&layer.blob).map_err(gantry_images::Error::from)?;
            let mut reader = Reader::new(Decoder::new(blob).map_err(failed)?);
            // Through the mounted root: what one layer deletes of a layer below the squashed ones stays deleted.
            let options = ExtractOptions { whiteouts: Whiteouts::Delete, ..ExtractOptions::default() };
            extract(&mut reader, view.root(), &options).map_err(failed)?;
        }
        drop(view);
        let layer =
            self.images.layer_of_snapshot(&self.lease, prepared.key.as_str(), parent.as_ref(), true)?;
        prepared.done = true;
        Ok(self.squashed(point, below, layer))
    }

    fn squashed(&self, point: &Point, below: usize, layer: Option<gantry_images::Layer>) -> Point {
        let mut squashed = point.clone();
        squashed.layers.truncate(below);
        let rootfs = squashed.config.rootfs.get_or_insert_default();
        rootfs.diff_ids.truncate(below);
        let mut seen = 0;
        for line in squashed.config.history.iter_mut().filter(|line| !line.empty_layer) {
            seen += 1;
            line.empty_layer = seen > below;
        }
        squashed.config.history.push(HistoryEntry {
            created: Some(self.now()),
            comment: format!("{} layers squashed into one", point.layers.len() - below),
            empty_layer: layer.is_none(),
            ..HistoryEntry::default()
        });
        if let Some(layer) = layer {
            rootfs.diff_ids.push(layer.diff_id.clone());
            squashed.layers.push(layer);
        }
        squashed
    }
}
