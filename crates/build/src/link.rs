//! `COPY --link` and `ADD --link`: a layer that depends on nothing below it.
//!
//! The files go into an empty root, and the layer is remembered twice: by the step's key, and by the same inputs without
//! the step before. When the base changes, the second one is found, and the layer is put on the new base as it is.

use gantry_images::Layer;
use gantry_names::ChainId;

use crate::failure::Cause;
use crate::key::Inputs;
use crate::progress::{Event, StepNumber};
use crate::roots::Ground;
use crate::stage::{Result, StageBuild, Work};

impl StageBuild {
    /// As [`StageBuild::cached`], with a layer of its own.
    pub(crate) async fn linked(
        &mut self,
        text: &str,
        inputs: Inputs,
        step: StepNumber,
        work: impl Work,
    ) -> Result<()> {
        let apart = Inputs { parent: None, ..inputs.clone() }.with("link", "");
        let key = inputs.key();
        if !self.no_cache
            && self.build.cache.peek(&key).is_none()
            && let Some(layer) = self.layer_apart(&apart, step).await?
        {
            let size = layer.size;
            self.push(layer);
            self.reached(&key, text, &inputs, size);
            return Ok(());
        }
        self.cached(text, inputs, step, Ground::Nothing, work).await?;
        if let Some(size) = self.point.layers.last().map(|layer| layer.size) {
            self.build.cache.remember(&apart.key(), text, &apart, &self.point, size);
        }
        Ok(())
    }

    /// The layer that the same files made on another base, put on this one; its line is in the history then.
    async fn layer_apart(&mut self, apart: &Inputs, step: StepNumber) -> Result<Option<Layer>> {
        let earlier = self.build.cache.find(&apart.key()).filter(|earlier| self.build.keep(earlier));
        let Some(earlier) = earlier else { return Ok(None) };
        let line = earlier.config.history.last().filter(|line| !line.empty_layer).cloned();
        let (Some(line), Some(mut layer)) = (line, earlier.layers.last().cloned()) else { return Ok(None) };
        let (images, lease, parent) =
            (self.build.images.clone(), self.build.lease.clone(), self.point.chain());
        let placed = tokio::task::spawn_blocking(move || {
            images.unpack_layer(&lease, parent.as_ref(), &layer, 0)?;
            let chain = ChainId::extend(parent.as_ref(), &layer.diff_id);
            layer.size = images.snapshots().usage(chain.as_str())?.bytes;
            Ok::<_, gantry_images::Error>(layer)
        });
        let layer = placed.await.map_err(Cause::ended)??;
        self.point.config.history.push(line);
        self.build.progress.tell(Event::Cached { step });
        Ok(Some(layer))
    }
}
