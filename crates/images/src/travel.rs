use gantry_names::{DiffId, Digest, ImageId, Reference};

use crate::record::RECORDS;
use crate::{Error, Image, ImageStore, Layer, Result};

impl ImageStore {
    /// The layer of this content, however its blob is kept; `None` if no image has it or its blob is gone.
    pub fn layer_of(&self, diff_id: &DiffId) -> Result<Option<Layer>> {
        let mut layers = self.catalog()?.records.into_iter().flat_map(|(_, record)| record.layers);
        Ok(layers.find(|layer| layer.diff_id == *diff_id && self.inner.content.touch(&layer.blob)))
    }

    /// The tags of a repository that are here, in order, with their images.
    pub fn tags_of(&self, repository: &Reference) -> Result<Vec<(Reference, ImageId)>> {
        let name = repository.name();
        let mut tags = self.catalog()?.references;
        tags.retain(|(reference, _)| reference.digest().is_none() && reference.name() == name);
        tags.sort_by(|(a, _), (b, _)| a.tag().cmp(&b.tag()));
        Ok(tags)
    }

    /// The repositories of one registry (their paths) that are known to hold a blob: an image with it came from there or went
    /// there.
    pub fn holders(&self, domain: &str, blob: &Digest) -> Result<Vec<String>> {
        let catalog = self.catalog()?;
        let has = |id: &ImageId| {
            catalog.record(id).is_some_and(|record| record.layers.iter().any(|layer| layer.blob == *blob))
        };
        let known = catalog.references.iter().filter(|(reference, id)| {
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
        self.inner.store.write(|tx| {
            let mut record =
                tx.get(RECORDS, &image.id)?.ok_or_else(|| Error::NotFound(image.id.to_string()))?;
            record.manifest = Some(manifest.clone());
            tx.put(RECORDS, &image.id, &record)?;
            Ok::<_, Error>(())
        })?;
        Ok(manifest)
    }
}
