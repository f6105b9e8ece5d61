use std::collections::HashMap;
use std::sync::atomic::Ordering;

use gantry_names::{ImageId, Reference};

use crate::list::chains;
use crate::{Error, Filters, ImageStore, Removed, Result, Use};

/// What to prune.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// `dangling` (true if absent: only images without a tag), `until`, `label`, `label!`.
    pub filters: Filters,
}

/// What a prune did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Line by line.
    pub removed: Vec<Removed>,
    /// Unpacked bytes of the layers that went.
    pub reclaimed: u64,
}

/// An image without a name, or one of its names.
type Target = (ImageId, Option<Reference>);

impl ImageStore {
    /// `docker image prune`: removes images nobody uses. One that is in the way of something is left, not an error.
    pub fn prune(&self, options: &PruneOptions, uses: &dyn Fn(&ImageId) -> Vec<Use>) -> Result<Pruned> {
        if self.inner.pruning.swap(true, Ordering::AcqRel) {
            return Err(Error::PruneRunning);
        }
        let done = self.prune_alone(&options.filters, uses);
        self.inner.pruning.store(false, Ordering::Release);
        done
    }

    fn prune_alone(&self, filters: &Filters, uses: &dyn Fn(&ImageId) -> Vec<Use>) -> Result<Pruned> {
        let (targets, sizes) = self.prunable(filters);
        let mut pruned = Pruned::default();
        for (id, name) in targets {
            // In use, or gone already with another of its names.
            let Ok(lines) = self.prune_one(&id, name.as_ref(), uses) else { continue };
            pruned.removed.extend(lines);
        }
        for line in &pruned.removed {
            if let Removed::Deleted(name) | Removed::Layer(name) = line {
                pruned.reclaimed += sizes.get(name).copied().unwrap_or(0);
            }
        }
        Ok(pruned)
    }

    /// What fits the filters, name by name, and the size of every layer.
    fn prunable(&self, filters: &Filters) -> (Vec<Target>, HashMap<String, u64>) {
        let dangling_only = filters.dangling.unwrap_or(true);
        let catalog = self.catalog();
        let images = self.images_in(&catalog);
        let mut targets = Vec::new();
        for image in &images {
            let labels = image.config.labels();
            let parent = catalog.has_children(&image.id);
            let old = filters.until.is_none_or(|until| image.config.created().is_some_and(|at| at <= until));
            let unwanted = !filters.label_not.is_empty() && filters.label_not.all_in(labels);
            if (parent && (dangling_only || image.names.is_empty()))
                || !old
                || unwanted
                || !filters.label.all_in(labels)
            {
                continue;
            }
            if dangling_only && image.names.iter().any(|name| name.digest().is_none()) {
                continue;
            }
            match image.names.as_slice() {
                [] => targets.push((image.id.clone(), None)),
                names => targets.extend(names.iter().map(|name| (image.id.clone(), Some(name.clone())))),
            }
        }
        let sizes = images.iter().flat_map(chains).map(|(chain, size)| (chain.to_string(), size));
        (targets, sizes.collect())
    }
}
