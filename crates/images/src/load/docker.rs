//! `manifest.json`: Docker 1.10 and later, and everything that writes for it.

use std::collections::HashMap;

use gantry_names::{Digest, Reference};
use serde::Deserialize;

use super::{Archive, Loaded, oci};
use crate::{CreateOptions, Error, Result};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

pub(super) fn load(archive: &mut Archive<'_>) -> Result<Vec<Loaded>> {
    let items: Vec<Item> = serde_json::from_slice(archive.document("manifest.json")?)
        .map_err(|error| Error::Archive(format!("manifest.json: {error}")))?;
    // Where the archive is an OCI layout as well, each image's manifest comes along, so that a push keeps its digest.
    let manifests: HashMap<Digest, Digest> = oci::manifests_by_config(archive);
    let mut loaded = Vec::new();
    for item in items {
        let config = archive.document(&item.config)?.to_vec();
        let manifest = manifests.get(&Digest::sha256_of(&config)).cloned();
        let manifest = manifest.map(|digest| oci::keep_document(archive, &digest)).transpose()?;
        let mut options = CreateOptions { manifest, ..CreateOptions::default() };
        let index = options.manifest.as_ref().and_then(|manifest| oci::index_of(archive, manifest));
        if let Some(index) = index {
            options.companions = oci::companions(archive, &index)?;
            // One whose other parts are elsewhere says nothing of what is here.
            let whole = (!options.companions.is_empty()).then(|| oci::keep_document(archive, &index));
            options.index = whole.transpose()?;
        }
        let names: Vec<Reference> = item
            .repo_tags
            .unwrap_or_default()
            .iter()
            .map(|name| Reference::parse(name))
            .collect::<std::result::Result<_, _>>()?;
        // Small layers in `blobs/` were taken for documents.
        let files = item.layers.unwrap_or_default();
        files.iter().try_for_each(|file| archive.document_to_layer(file))?;
        let id = archive.image(&config, &files, &options)?;
        for name in &names {
            loaded.push(archive.name(&id, name)?);
        }
        if names.is_empty() {
            loaded.push(Loaded { id, reference: None, previous: None });
        }
    }
    Ok(loaded)
}
