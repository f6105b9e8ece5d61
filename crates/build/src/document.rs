//! A state of a build as an image: its config, and the document that names it.

use std::sync::{Arc, PoisonError};

use gantry_images::ImageConfig;
use gantry_names::Digest;
use jiff::Timestamp;

use crate::build::Build;
use crate::built::Built;
use crate::cache::Point;
use crate::failure::Cause;
use crate::inline;

impl Build {
    /// What a build has made, whose last stage ended so.
    pub(crate) fn finish(&self, target: usize, point: &Point) -> Result<Built, Cause> {
        let squashed;
        let point = match self.request.squash {
            true => {
                let bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
                let below = bases.get(&target).copied().unwrap_or_default();
                drop(bases);
                squashed = self.squash(point, below)?;
                &squashed
            }
            false => point,
        };
        let config = self.config(point);
        let document = self.document(&config, point).map_err(|error| Cause::Value(error.to_string()))?;
        let trail = std::mem::take(&mut *self.trail.lock().unwrap_or_else(PoisonError::into_inner));
        let bases = std::mem::take(&mut *self.images_used.lock().unwrap_or_else(PoisonError::into_inner));
        let (layers, key, _lease) = (point.layers.clone(), point.key.clone(), Arc::clone(&self.lease));
        Ok(Built { config, document, layers, key, trail, bases, _lease })
    }

    /// The config of a state, were the build to end there.
    fn config(&self, point: &Point) -> ImageConfig {
        let mut config = point.config.clone();
        if let Some(last) = config.history.last() {
            config.created.clone_from(&last.created);
        }
        if !self.request.labels.is_empty() {
            let labels = config.config.get_or_insert_default().labels.get_or_insert_default();
            labels.extend(self.request.labels.clone());
        }
        config
    }

    /// The config's document, with what others may take as their cache.
    fn document(&self, config: &ImageConfig, point: &Point) -> serde_json::Result<Vec<u8>> {
        let mut document = serde_json::to_value(config)?;
        if self.request.inline_cache && !self.request.squash {
            inline::note(&mut document, point, &self.cache);
        }
        serde_json::to_vec(&document)
    }

    /// The time of what is made now.
    pub(crate) fn now(&self) -> String {
        let epoch = self.request.epoch.and_then(|seconds| Timestamp::from_second(seconds).ok());
        epoch.unwrap_or_else(Timestamp::now).to_string()
    }

    /// Twelve digits that name a state as an image would be named; none for the empty one.
    pub(crate) fn state_id(&self, point: &Point) -> String {
        if point.layers.is_empty() && point.config.history.is_empty() {
            return String::new();
        }
        self.document(&self.config(point), point)
            .map_or_else(|_| String::new(), |bytes| Digest::sha256_of(&bytes).short().to_owned())
    }
}
