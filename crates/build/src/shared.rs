//! Steps that travel from one machine's cache to another's, and steps that images of `--cache-from` tell of.
//!
//! A key says what went into a step, and is the same on every machine. So whoever has a key's layer has the step's
//! result: it is brought here when a build asks for that key, and not before.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gantry_images::{HistoryEntry, ImageConfig, Layer};
use gantry_names::{ChainId, Digest};

use crate::build::Build;
use crate::builder::Builder;
use crate::built::Built;
use crate::cache::Entry;
use crate::failure::Cause;
use crate::inline;
use crate::progress::Event;
use crate::step::{Refusal, Task};

/// One step as it travels.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    /// What went in.
    pub key: Digest,
    /// The step before it; none at the start of `FROM scratch`.
    pub parent: Option<Digest>,
    /// Its line in an image's history.
    pub history: HistoryEntry,
    /// The layer it made, if it made one.
    pub layer: Option<Layer>,
}

/// Steps of another machine, and who brings their layers.
#[derive(Debug, Clone)]
pub struct Import {
    /// The steps.
    pub steps: Vec<Shared>,
    /// Where their blobs are.
    pub from: Arc<dyn Bring>,
}

/// Brings blobs into the content store.
pub trait Bring: Send + Sync + fmt::Debug {
    /// Brings a layer's blob here. A lease of the build keeps it.
    fn bring(&self, layer: Layer) -> Task<'_, Result<(), Refusal>>;
}

/// A step that can be had without running it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) history: HistoryEntry,
    pub(crate) layer: Option<Layer>,
    /// None: its blob is here.
    pub(crate) from: Option<Arc<dyn Bring>>,
}

/// The steps that an image's config tells of; `layers` are the manifest's: digest, media type and size of each.
pub fn noted(config: &[u8], layers: &[(Digest, String, u64)]) -> Vec<Shared> {
    let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(config) else { return Vec::new() };
    let notes = inline::notes(&mut document);
    let Ok(image) = serde_json::from_value::<ImageConfig>(document) else { return Vec::new() };
    let diff_ids = image.diff_ids();
    let layer = |number: usize| {
        let (blob, media_type, blob_size) = layers.get(number)?.clone();
        Some(Layer { diff_id: diff_ids.get(number)?.clone(), blob, media_type, blob_size, size: 0 })
    };
    let mut steps: Vec<Shared> = Vec::new();
    for (key, line) in notes {
        let Some(history) = image.history.get(line).cloned() else { continue };
        let number = image.history[..line].iter().filter(|line| !line.empty_layer).count();
        let layer = if history.empty_layer { None } else { layer(number) };
        if history.empty_layer || layer.is_some() {
            let parent = steps.last().map(|step| step.key.clone());
            steps.push(Shared { key, parent, history, layer });
        }
    }
    steps
}

/// The steps of imports by key.
pub(crate) fn known(imports: &[Import]) -> BTreeMap<Digest, Known> {
    let mut known = BTreeMap::new();
    for import in imports {
        for step in &import.steps {
            let Shared { key, history, layer, .. } = step.clone();
            known.insert(key, Known { history, layer, from: Some(Arc::clone(&import.from)) });
        }
    }
    known
}

impl Build {
    /// The layer that somebody else has for a key, put on `parent`: none where nobody knows the key, nothing inside where
    /// the step made no layer. One that cannot be had is told, and made here.
    pub(crate) async fn foreign_layer(
        &self,
        key: &Digest,
        parent: Option<ChainId>,
        no_cache: bool,
    ) -> Result<Option<Option<Layer>>, Cause> {
        let Some(known) = self.inline.get(key).filter(|_| !no_cache) else { return Ok(None) };
        let Some(mut layer) = known.layer.clone() else { return Ok(Some(None)) };
        let mut had = Ok(());
        if let Some(from) = &known.from {
            had = from.bring(layer.clone()).await.map_err(|refusal| refusal.message);
        }
        if had.is_ok() {
            let (images, lease, wanted) = (self.images.clone(), Arc::clone(&self.lease), layer.clone());
            let unpacked = tokio::task::spawn_blocking(move || {
                images.unpack_layer(&lease, parent.as_ref(), &wanted, 0)?;
                let chain = ChainId::extend(parent.as_ref(), &wanted.diff_id);
                Ok::<_, gantry_images::Error>(images.snapshots().usage(chain.as_str())?.bytes)
            });
            match unpacked.await.map_err(Cause::ended)? {
                Ok(size) => layer.size = size,
                Err(error) => had = Err(error.to_string()),
            }
        }
        match had {
            Ok(()) => Ok(Some(Some(layer))),
            Err(why) => {
                let text = format!("[Warning] a cached step cannot be had and is run here: {why}");
                self.progress.tell(Event::Warning { text });
                Ok(None)
            }
        }
    }
}

impl Builder {
    /// The steps that led to what was built, each behind the one it stands on: all of the build, or only those the
    /// result's own layers come from.
    pub fn shared(&self, built: &Built, all: bool) -> Vec<Shared> {
        let keys = if all { built.trail.clone() } else { self.own_steps(built) };
        keys.iter().filter_map(|key| Some(shared(key, &*self.cache.peek(key)?))).collect()
    }

    fn own_steps(&self, built: &Built) -> Vec<Digest> {
        let mut keys = Vec::new();
        let mut next = built.key.clone();
        while let Some(key) = next.take()
            && let Some(entry) = self.cache.peek(&key)
        {
            next.clone_from(&entry.inputs.parent);
            keys.push(key);
        }
        keys.reverse();
        keys
    }
}

fn shared(key: &Digest, entry: &Entry) -> Shared {
    let history = entry.point.config.history.last().cloned().unwrap_or_default();
    let layer = entry.point.layers.last().filter(|_| !history.empty_layer).cloned();
    Shared { key: key.clone(), parent: entry.inputs.parent.clone(), history, layer }
}
