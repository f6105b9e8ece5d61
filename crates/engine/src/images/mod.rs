//! The image verbs that need to know containers, and their events; the work is `gantry-images`'.

mod artifact;
mod blobs;
mod depart;
mod import;
mod load;
mod pull;
mod push;
mod registries;
mod remote;

pub use import::ImportRequest;
pub use pull::PullRequest;
pub use push::PushRequest;
pub(crate) use registries::Registries;

use std::collections::BTreeMap;
use std::time::Duration;

use gantry_errdefs::chain;
use gantry_events::Kind;
use gantry_images::{
    HistoryItem, Image, Labels, ListOptions, PruneOptions, RemoveOptions, Removed, Summary, Use,
};
use gantry_names::{ImageId, Platform, Reference};

use crate::container::graph;
use crate::engine::{Engine, blocking};
use crate::error::Result;
use crate::filters::{self, Filters};

/// What came in less than so long ago outlives an image prune: somebody may be pulling it again.
const SPARED_BY_PRUNE: Duration = Duration::from_secs(3600);
/// The same at the engine's start: a pull may go on where it was cut off the day before.
pub(crate) const SPARED_AT_START: Duration = Duration::from_secs(24 * 3600);

/// One message of a JSON stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Text of a load.
    pub stream: String,
    /// What is done.
    pub status: String,
    /// To which layer.
    pub id: String,
    /// How much is done.
    pub current: u64,
    /// Of how much.
    pub total: u64,
    /// What a program reads.
    pub aux: Option<serde_json::Value>,
}

/// What an image prune took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImagesPruned {
    /// Names and ids.
    pub removed: Vec<Removed>,
    /// Bytes.
    pub reclaimed: u64,
}

impl Engine {
    /// Lists images; beside each how many containers are made of it.
    pub async fn image_list(
        &self,
        all: bool,
        shared_size: bool,
        filters: Filters,
    ) -> Result<Vec<(Summary, i64)>> {
        filters::check(&filters, &["before", "dangling", "label", "label!", "reference", "since", "until"])?;
        let options = ListOptions { all, shared_size, filters: image_filters(&filters)? };
        let engine = self.clone();
        blocking(move || {
            let list = engine.inner.images.list(&options)?;
            let counted = list.into_iter().map(|summary| {
                let users = engine.users_of(&summary.id).len();
                (summary, i64::try_from(users).unwrap_or(i64::MAX))
            });
            Ok(counted.collect())
        })
        .await
    }

    /// An image, its folders in Docker's words, and the driver's name.
    pub async fn image_inspect(
        &self,
        name: &str,
        platform: Option<Platform>,
    ) -> Result<(Image, BTreeMap<String, String>, String)> {
        let (images, name) = (self.inner.images.clone(), name.to_owned());
        blocking(move || {
            let image = images.inspect(&name, platform.as_ref())?;
            let snapshots = images.snapshots();
            let folders = image
                .chain_id()
                .and_then(|chain| snapshots.rootfs(chain.as_ref()).ok())
                .map_or_else(BTreeMap::new, graph);
            let driver = snapshots.driver().to_owned();
            Ok((image, folders, driver))
        })
        .await
    }

    /// How an image came about.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryItem>> {
        let (images, name) = (self.inner.images.clone(), name.to_owned());
        blocking(move || Ok(images.history(&name)?)).await
    }

    /// Removes a name, and with the last the image.
    pub async fn image_remove(&self, name: &str, force: bool, no_prune: bool) -> Result<Vec<Removed>> {
        let (engine, name) = (self.clone(), name.to_owned());
        let removed = blocking(move || -> Result<Vec<Removed>> {
            let options = RemoveOptions { force, no_prune };
            Ok(engine.inner.images.remove(&name, options, &|image| engine.uses(image))?)
        })
        .await?;
        self.removal_events(&removed);
        Ok(removed)
    }

    fn removal_events(&self, removed: &[Removed]) {
        for one in removed {
            match one {
                Removed::Untagged(name) => self.image_event(name, "untag", name),
                Removed::Deleted(id) => self.image_event(id, "delete", id),
                Removed::Layer(_) => {}
            }
        }
    }

    fn uses(&self, image: &ImageId) -> Vec<Use> {
        let users = self.users_of(image).into_iter();
        users.map(|(id, running)| Use { container: id.to_string(), running }).collect()
    }

    /// Gives an image a further name.
    pub async fn image_tag(&self, source: &str, target: &Reference) -> Result<()> {
        let (images, source, to) = (self.inner.images.clone(), source.to_owned(), target.clone());
        let tagged = blocking(move || images.tag(&source, &to)).await?;
        self.image_event(tagged.id.as_ref(), "tag", &tagged.reference.familiar());
        Ok(())
    }

    /// Removes nameless images, or with `dangling=false` all that no container uses.
    pub async fn image_prune(&self, filters: Filters) -> Result<ImagesPruned> {
        filters::check(&filters, &["dangling", "label", "label!", "until"])?;
        let options = PruneOptions { filters: image_filters(&filters)? };
        let engine = self.clone();
        let mut pruned =
            blocking(move || engine.inner.images.prune(&options, &|image| engine.uses(image))).await?;
        pruned.reclaimed += self.sweep(SPARED_BY_PRUNE).await;
        self.removal_events(&pruned.removed);
        let attributes = [("reclaimed".to_owned(), pruned.reclaimed.to_string())].into();
        self.publish(Kind::Image, "prune", "", attributes);
        Ok(ImagesPruned { removed: pruned.removed, reclaimed: pruned.reclaimed })
    }

    /// Frees what no image needs: what given-up pulls left, and the layers of images whose last container is gone.
    pub(crate) async fn sweep(&self, spare: Duration) -> u64 {
        let images = self.inner.images.clone();
        match blocking(move || images.sweep(spare)).await {
            Ok(freed) => freed,
            Err(err) => {
                tracing::warn!(err = chain(&err), "free what no image needs");
                0
            }
        }
    }

    /// Tells that the builder's cache was pruned; the cache itself is not the engine's.
    pub fn builder_pruned(&self, bytes: u64) {
        let attributes = [("reclaimed".to_owned(), bytes.to_string())].into();
        self.publish(Kind::Builder, "prune", "", attributes);
    }

    /// Tells that somebody else has named an image: a build.
    pub fn image_tagged(&self, id: &ImageId, name: &Reference) {
        self.image_event(id.as_str(), "tag", &name.familiar());
    }

    pub(crate) fn image_event(&self, id: &str, action: &str, name: &str) {
        let mut attributes = BTreeMap::new();
        if let Ok(image) = self.inner.images.inspect(id, None) {
            attributes.extend(image.config.labels().cloned().unwrap_or_default());
        }
        attributes.insert("name".to_owned(), name.to_owned());
        self.publish(Kind::Image, action, id, attributes);
    }
}

fn image_filters(filters: &Filters) -> Result<gantry_images::Filters> {
    let list = |key: &str| filters::values(filters, key).cloned().collect::<Vec<_>>();
    let labels = |key: &str| Labels::parse(filters::values(filters, key).map(String::as_str));
    Ok(gantry_images::Filters {
        dangling: filters::truth(filters, "dangling")?,
        label: labels("label"),
        label_not: labels("label!"),
        before: list("before"),
        since: list("since"),
        reference: list("reference"),
        until: filters::until(filters)?,
    })
}
