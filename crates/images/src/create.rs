use gantry_names::{Digest, ImageId, Reference};

use crate::catalog::Change;
use crate::resolve::stored_form;
use crate::store::parse_config;
use crate::tag::now_ns;
use crate::{Error, ImageStore, Layer, Record, Result};

/// What is known of a new image beside its config and layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateOptions {
    /// The image it was made from here.
    pub parent: Option<ImageId>,
    /// The manifest it came by; must be a blob here.
    pub manifest: Option<Digest>,
    /// The index that manifest was chosen from; must be a blob here.
    pub index: Option<Digest>,
    /// What else that index names and is here: kept as long as the image.
    pub companions: Vec<Digest>,
    /// It was made here, by commit or build.
    pub built_here: bool,
    /// Names that it gets together with its record: nobody sees it without.
    pub names: Vec<Reference>,
}

impl ImageStore {
    /// Records an image whose layers are here. `config` is the document's bytes, kept as they are: their digest is the
    /// image's id. An image that is here already keeps its record, with what the new one knows in addition. The caller's lease
    /// keeps what it needs until then; what is gone all the same is told here, not by an image of less than its layers.
    pub fn create(&self, config: &[u8], layers: Vec<Layer>, options: &CreateOptions) -> Result<ImageId> {
        let id = ImageId(Digest::sha256_of(config));
        let parsed = parse_config(id.as_str(), config)?;
        if parsed.diff_ids().len() != layers.len() {
            return Err(Error::LayerCount { expected: parsed.diff_ids().len(), found: layers.len() });
        }
        for (index, (wanted, layer)) in parsed.diff_ids().iter().zip(&layers).enumerate() {
            if *wanted != layer.diff_id {
                return Err(Error::DiffId {
                    index,
                    expected: wanted.to_string(),
                    found: layer.diff_id.to_string(),
                });
            }
        }
        for layer in &layers {
            if !self.inner.content.touch(&layer.blob) {
                return Err(Error::LayerMissing { image: id, blob: layer.blob.clone() });
            }
        }
        self.inner.content.put(config)?;
        let named = (!options.names.is_empty()).then(now_ns);
        self.change(|catalog| {
            let old = catalog.record(&id).cloned().unwrap_or_default();
            let record = Record {
                layers,
                parent: options.parent.clone().or(old.parent),
                manifest: options.manifest.clone().or(old.manifest),
                companions: match options.index {
                    Some(_) => options.companions.clone(),
                    None => old.companions,
                },
                index: options.index.clone().or(old.index),
                last_tagged_ns: named.or(old.last_tagged_ns),
                built_here: options.built_here || old.built_here,
            };
            let names = options.names.iter().map(|name| Change::Name(stored_form(name), id.clone()));
            Ok(((), std::iter::once(Change::Record(id.clone(), record)).chain(names).collect()))
        })?;
        Ok(id)
    }
}
