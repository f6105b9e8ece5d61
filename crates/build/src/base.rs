//! What a stage stands on: nothing, an image, another stage, another build.

use std::sync::{Arc, PoisonError};

use gantry_images::ImageConfig;
use gantry_names::{Digest, Platform};

use crate::build::Build;
use crate::built::Built;
use crate::cache::Point;
use crate::failure::Cause;
use crate::plan::Source;
use crate::progress::{Event, Output, StepNumber};
use crate::request::NamedContext;
use crate::step::ImageWanted;

impl Build {
    /// The state that a stage begins with.
    pub(crate) async fn base(
        &self,
        base: Source,
        platform: Option<String>,
        step: StepNumber,
    ) -> Result<Point, Cause> {
        let platform = match platform {
            Some(text) => Some(Platform::parse(&text).map_err(|error| Cause::Value(error.to_string()))?),
            None => self.request.platform.clone(),
        };
        match base {
            Source::Scratch => {
                let platform = platform.unwrap_or_else(Platform::host);
                // Nothing of one platform is not nothing of another: their steps are told apart.
                let key = (platform != Platform::host())
                    .then(|| Digest::sha256_of(format!("scratch {platform}").as_bytes()));
                let config = ImageConfig {
                    architecture: platform.architecture,
                    os: platform.os,
                    variant: platform.variant,
                    rootfs: Some(Default::default()),
                    ..ImageConfig::default()
                };
                Ok(Point { config, key, ..Point::default() })
            }
            Source::Stage(index) => Ok((*self.end_of(index).await?).clone()),
            Source::Image(name) => self.image_point(name, platform, step).await,
            Source::Named(name) => match self.request.contexts.get(&name) {
                Some(NamedContext::Image(reference)) => {
                    self.image_point(reference.familiar(), platform, step).await
                }
                Some(NamedContext::Built(built)) => Ok(self.built_point(built)?),
                _ => Err(Cause::Value(format!("{name} is a folder: a stage cannot stand on it"))),
            },
        }
    }

    /// Another build's result, as the start of a stage.
    fn built_point(&self, built: &Built) -> Result<Point, Cause> {
        if let Some(chain) = built.chain() {
            self.lease.hold(&chain);
        }
        let key = Some(Digest::sha256_of(&built.document));
        Ok(Point { config: built.config.clone(), layers: built.layers.clone(), key })
    }

    pub(crate) async fn image_point(
        &self,
        name: String,
        platform: Option<Platform>,
        step: StepNumber,
    ) -> Result<Point, Cause> {
        let (pull, caller) = (self.request.pull, Arc::clone(&self.request.caller));
        let expected = platform.clone().unwrap_or_else(Platform::host);
        let wanted = ImageWanted { name: name.clone(), platform, pull, caller };
        let output = Output::new(self.progress.clone(), step);
        let id = self.outside.image(wanted, output).await.map_err(Cause::Outside)?;
        let (images, lease, of) = (self.images.clone(), self.lease.clone(), id.clone());
        let held = tokio::task::spawn_blocking(move || images.held(&lease, &of));
        let image = held.await.map_err(Cause::ended)??;
        let found = image.config.platform();
        if !found.architecture.is_empty() && !found.matches(&expected) {
            let text = format!(
                "[Warning] InvalidBaseImagePlatform: Base image {name} was pulled with platform \"{found}\", expected \"{expected}\" for current build"
            );
            self.progress.tell(Event::Warning { text });
        }
        let known = image.record.index.clone().or(image.record.manifest.clone()).unwrap_or(id.0.clone());
        self.images_used.lock().unwrap_or_else(PoisonError::into_inner).insert(name, known);
        Ok(Point { config: (*image.config).clone(), layers: image.record.layers, key: Some(id.0) })
    }

    /// Waits for a stage's end.
    pub(crate) async fn end_of(&self, index: usize) -> Result<Arc<Point>, Cause> {
        let end = self.ends.get(&index).ok_or(Cause::Elsewhere)?;
        let mut end = end.subscribe();
        let point = end.wait_for(Option::is_some).await.map_err(|_| Cause::Elsewhere)?;
        point.clone().ok_or(Cause::Elsewhere)
    }
}
