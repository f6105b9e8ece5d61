//! `load` and `save`.

use std::collections::BTreeSet;
use std::io::{self, Read};

use gantry_images::{LoadEvent, LoadOptions};
use gantry_names::{DiffId, ImageId, Platform, Reference};
use tokio::sync::mpsc;

use super::Progress;
use crate::container::TarWriter;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};

impl Engine {
    /// Brings in the images of an archive; what it does goes to the channel in Docker's words.
    pub async fn image_load(
        &self,
        tar: Box<dyn Read + Send>,
        quiet: bool,
        progress: mpsc::Sender<Progress>,
    ) -> Result<()> {
        let images = self.inner.images.clone();
        let said = progress.clone();
        let loaded = blocking(move || {
            images.load(tar, &LoadOptions::default(), &mut |event| {
                let LoadEvent::Layer { id, current, total } = event;
                if quiet {
                    return;
                }
                let message = Progress {
                    status: "Loading layer".to_owned(),
                    id,
                    current,
                    total,
                    ..Progress::default()
                };
                // A bar that skips a step is still a bar; a client that does not read does not hold the load.
                let _ = said.try_send(message);
            })
        })
        .await?;
        for one in loaded {
            let (stream, name) = match &one.reference {
                Some(reference) => {
                    (format!("Loaded image: {}\n", reference.familiar()), reference.familiar())
                }
                None => (format!("Loaded image ID: {}\n", one.id), one.id.to_string()),
            };
            self.image_event(one.id.as_ref(), "load", &name);
            let _ = progress.send(Progress { stream, ..Progress::default() }).await;
        }
        Ok(())
    }

    /// An archive of images, without the layers that its reader has; the names are resolved before this returns.
    pub async fn image_save(
        &self,
        names: Vec<String>,
        platform: Option<Platform>,
        without: BTreeSet<DiffId>,
    ) -> Result<TarWriter> {
        let (engine, asked) = (self.clone(), names.clone());
        let ids = blocking(move || {
            let each = asked.iter().map(|name| match engine.inner.images.resolve(name) {
                // Told by the name as it was typed, as Docker does here alone.
                Err(gantry_images::Error::NotFound(_)) => {
                    Err(gantry_images::Error::NotFound(name.clone()).into())
                }
                other => other.map_err(Error::from),
            });
            each.collect::<Result<Vec<_>>>()
        })
        .await?;
        for (id, name) in ids.iter().zip(&names) {
            self.image_event(id.as_ref(), "save", name);
        }
        let images = self.inner.images.clone();
        Ok(Box::new(move |out| {
            images.save_without(&names, platform.as_ref(), &without, out).map_err(io::Error::other)
        }))
    }

    /// Loads an archive of one image and gives it this name.
    pub(super) async fn load_as(&self, archive: Box<dyn Read + Send>, name: &Reference) -> Result<ImageId> {
        let (images, name) = (self.inner.images.clone(), name.clone());
        blocking(move || {
            let loaded = images.load(archive, &LoadOptions::default(), &mut |_| ())?;
            let id = loaded.into_iter().next().map(|one| one.id);
            let id =
                id.ok_or_else(|| Error::Unavailable("the embedded archive holds no image".to_owned()))?;
            images.tag_image(&id, &name)?;
            Ok(id)
        })
        .await
    }
}
