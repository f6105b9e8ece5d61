//! `import`: a tar of a root becomes an image.

use std::io::Read;

use gantry_images::{ImportOptions, RunConfig, parse_changes};
use gantry_names::{ImageId, Platform, Reference};

use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};

/// What to make.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportRequest {
    /// The name it gets.
    pub reference: Option<Reference>,
    /// `-m`.
    pub message: String,
    /// `-c`, Dockerfile instructions.
    pub changes: Vec<String>,
    /// `None` is the host's.
    pub platform: Option<Platform>,
}

impl Engine {
    /// Makes an image of a tar, compressed or not.
    pub async fn image_import(&self, request: ImportRequest, tar: Box<dyn Read + Send>) -> Result<ImageId> {
        let texts: Vec<&str> = request.changes.iter().map(String::as_str).collect();
        let changes =
            parse_changes(&texts, &RunConfig::default()).map_err(|err| Error::Invalid(err.to_string()))?;
        let images = self.inner.images.clone();
        let options = ImportOptions {
            changes,
            message: request.message,
            platform: request.platform,
            reference: request.reference.clone(),
        };
        let id = blocking(move || images.import(tar, &options)).await?;
        let name = request
            .reference
            .as_ref()
            .map_or_else(|| id.to_string(), |reference| reference.or_latest().familiar());
        if request.reference.is_some() {
            self.image_event(id.as_ref(), "tag", &name);
        }
        self.image_event(id.as_ref(), "import", &name);
        Ok(id)
    }
}
