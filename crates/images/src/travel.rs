use gantry_names::{DiffId, Digest, ImageId, Reference};

use crate::catalog::Change;
use crate::{Error, Image, ImageStore, Layer, Result};

impl ImageStore {
    /// The layer of this content, however its blob is kept; `None` if no image has it or its blob is gone.
    pub fn layer_of(&self, diff_id: &DiffId) -> Result<Option<Layer>> {
        let catalog = self.catalog();
        let mut layers = catalog.records().flat_map(|(_, record)| &record.layers);
        Ok(layers.find(|layer| layer.diff_id == *diff_id && self.inner.content.touch(&layer.blob)).cloned())
    }

    /// The tags of a repository that are here, in order, with their images.
    pub fn tags_of(&self, repository: &Reference) -> Result<Vec<(Reference, ImageId)>> {
        let catalog = self.catalog();
        let tags = catalog.tags_of(&repository.name());
        Ok(tags.map(|(tag, id)| (tag.clone(), id.clone())).collect())
    }

    /// The repositories of one registry (their paths) that are known to hold a blob: an image with it came from there or went
    /// there.
    pub fn holders(&self, domain: &str, blob: &Digest) -> Result<Vec<String>> {
        let catalog = self.catalog();
        let has = |id: &ImageId| {
            catalog.record(id).is_some_and(|record| record.layers.iter().any(|layer| layer.blob == *blob))
        };
        let known = catalog.references().filter(|(reference, id)| {
            reference.digest().is_some() && reference.domain() == domain && has(id)
        });
        let mut paths: Vec<String> = known.map(|(reference, _)| reference.path().to_owned()).collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// Keeps the manifest an image goes by, unless it came by one: the next push brings the same digest.
    pub fn keep_manifest(&self, image: &Image, bytes: &[u8]) -> Result<Digest> {
        let manifest = self.inner.content.put(bytes)?;
        self.change(|catalog| {
            let mut record =
                catalog.record(&image.id).cloned().ok_or_else(|| Error::NotFound(image.id.to_string()))?;
            record.manifest = Some(manifest.clone());
            Ok(((), vec![Change::Record(image.id.clone(), record)]))
        })?;
        Ok(manifest)
    }
}
