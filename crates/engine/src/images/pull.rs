//! `pull`: the images inside the program first, then a registry.

use gantry_names::{Platform, Reference};
use tokio::sync::mpsc;

use super::Progress;
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Brings an image in. Progress goes to the channel in Docker's words.
    pub async fn image_pull(
        &self,
        reference: Reference,
        platform: Option<Platform>,
        auth: Option<serde_json::Value>,
        progress: mpsc::Sender<Progress>,
    ) -> Result<()> {
        let _ = (&platform, &auth);
        let asked = reference.or_latest();
        let Some(archive) = gantry_embedded::archive_of(&asked) else {
            return Err(Error::NotImplemented(format!(
                "cannot pull {}: this engine does not speak to registries yet; load or import the image instead",
                asked.familiar()
            )));
        };
        let say = async |progress: &mpsc::Sender<Progress>, status: String, id: &str| {
            let message = Progress { status, id: id.to_owned(), ..Progress::default() };
            // A client that has left does not end the pull.
            let _ = progress.send(message).await;
        };
        let tag = asked.tag().unwrap_or("latest").to_owned();
        say(&progress, format!("Pulling from {}", asked.path()), &tag).await;
        let before = self.inner.images.resolve(&asked.familiar()).ok();
        let id = self.load_bytes(archive, &asked).await?;
        let digest = id.to_string();
        say(&progress, format!("Digest: {digest}"), "").await;
        let known = before.is_some_and(|before| before == id);
        let status = if known { "Image is up to date for" } else { "Downloaded newer image for" };
        say(&progress, format!("Status: {status} {}", asked.familiar()), "").await;
        self.image_event(&asked.familiar(), "pull", &asked.familiar());
        Ok(())
    }
}
