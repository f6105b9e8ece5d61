//! Cache that travels inside an image: which step's key led to which line of its history, and to which layer.
//!
//! A key says what went into a step, and is the same on every machine. So whoever has the image has the results, and a
//! build that names it by `--cache-from` takes them.

use std::collections::BTreeMap;

use gantry_images::{HistoryEntry, ImageStore, Layer};
use gantry_names::{ChainId, Digest, Reference};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::build::{Build, Cause};
use crate::cache::{Cache, Point};

/// The field of the config document.
const FIELD: &str = "gantry.build.cache.v1";
/// No config document is larger.
const CONFIG_LIMIT: u64 = 8 << 20;

/// One step as the document has it: its key and the number of its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    key: Digest,
    line: usize,
}

/// One step that an image knows.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) history: HistoryEntry,
    layer: Option<Layer>,
}

/// All steps that the images of `--cache-from` know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inline(BTreeMap<Digest, Known>);

impl Inline {
    /// Reads what images that are here tell; one that is not here tells nothing.
    pub(crate) fn of(images: &ImageStore, references: &[Reference]) -> Self {
        let mut steps = BTreeMap::new();
        for reference in references {
            let found = images.inspect(&reference.or_latest().familiar(), None);
            let Some(image) = found.ok() else { continue };
            let document = images.content().read(&image.id.0, CONFIG_LIMIT).ok();
            let document = document.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            let noted = document.and_then(|mut document| serde_json::from_value(document[FIELD].take()).ok());
            let noted: Vec<Noted> = noted.unwrap_or_default();
            for Noted { key, line } in noted {
                let Some(history) = image.config.history.get(line).cloned() else { continue };
                let number = image.config.history[..line].iter().filter(|line| !line.empty_layer).count();
                let layer =
                    (!history.empty_layer).then(|| image.record.layers.get(number).cloned()).flatten();
                if history.empty_layer || layer.is_some() {
                    steps.insert(key, Known { history, layer });
                }
            }
        }
        Self(steps)
    }

    pub(crate) fn get(&self, key: &Digest) -> Option<&Known> {
        self.0.get(key)
    }
}

impl Build {
    /// The layer an image of `--cache-from` has for a key, put on `parent`: none where no image knows the key, nothing
    /// inside where the step made no layer.
    pub(crate) async fn inline_layer(
        &self,
        key: &Digest,
        parent: Option<ChainId>,
        no_cache: bool,
    ) -> Result<Option<Option<Layer>>, Cause> {
        let Some(known) = self.inline.get(key).filter(|_| !no_cache) else { return Ok(None) };
        let Some(layer) = known.layer.clone() else { return Ok(Some(None)) };
        self.images.unpack_layer(&self.lease, parent.as_ref(), &layer, 0)?;
        Ok(Some(Some(layer)))
    }
}

/// Notes in a config document which steps led to it.
pub(crate) fn note(document: &mut Value, point: &Point, cache: &Cache) {
    let mut noted = Vec::new();
    let (mut key, mut line) = (point.key.clone(), point.config.history.len());
    // From the last step back to the base: each has written one line.
    while let Some(entry) = key.as_ref().and_then(|key| cache.entry(key)) {
        let Some(before) = line.checked_sub(1) else { break };
        line = before;
        noted.push(Noted { key: entry.0, line });
        key = entry.1;
    }
    noted.reverse();
    if let (Value::Object(fields), Ok(list)) = (document, serde_json::to_value(noted)) {
        fields.insert(FIELD.to_owned(), list);
    }
}
