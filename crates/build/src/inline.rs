//! Cache that travels inside an image: which step's key led to which line of its history, and to which layer.
//!
//! A key says what went into a step, and is the same on every machine. So whoever has the image has the results, and a
//! build that names it by `--cache-from` takes them.

use std::collections::BTreeMap;

use gantry_images::{ImageConfig, ImageStore};
use gantry_names::{Digest, Reference};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cache::{Cache, Point};
use crate::shared::{self, Import, Known};

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

/// All steps that imports and the images of `--cache-from` know.
#[derive(Debug, Default)]
pub(crate) struct Inline {
    steps: BTreeMap<Digest, Known>,
    images: Vec<ImageConfig>,
}

impl Inline {
    /// Reads what images that are here tell; one that is not here tells nothing.
    pub(crate) fn of(images: &ImageStore, references: &[Reference], imports: &[Import]) -> Self {
        let mut steps = shared::known(imports);
        let mut configs = Vec::new();
        for reference in references {
            let found = images.inspect(&reference.or_latest().familiar(), None);
            let Some(image) = found.ok() else { continue };
            let document = images.content().read(&image.id.0, CONFIG_LIMIT).ok();
            let document = document.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            for (key, line) in document.map(|mut document| notes(&mut document)).unwrap_or_default() {
                let Some(history) = image.config.history.get(line).cloned() else { continue };
                let number = image.config.history[..line].iter().filter(|line| !line.empty_layer).count();
                let layer =
                    (!history.empty_layer).then(|| image.record.layers.get(number).cloned()).flatten();
                if history.empty_layer || layer.is_some() {
                    steps.insert(key, Known { history, layer, from: None });
                }
            }
            configs.push(ImageConfig::clone(&image.config));
        }
        Self { steps, images: configs }
    }

    /// Whether a state is on the way to one of the images: the classic builder takes no other for cached once images are
    /// named.
    pub(crate) fn leads_to(&self, point: &Point) -> bool {
        self.images.iter().any(|image| {
            image.history.starts_with(&point.config.history)
                && image.diff_ids().starts_with(point.config.diff_ids())
        })
    }

    pub(crate) fn get(&self, key: &Digest) -> Option<&Known> {
        self.steps.get(key)
    }
}

/// The notes of a config document, taken out: keys, and the lines they led to.
pub(crate) fn notes(document: &mut Value) -> Vec<(Digest, usize)> {
    let noted = document.get_mut(FIELD).map(Value::take).unwrap_or_default();
    let noted: Vec<Noted> = serde_json::from_value(noted).unwrap_or_default();
    noted.into_iter().map(|Noted { key, line }| (key, line)).collect()
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
