//! What builds work with, and the way from a request to an image.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_dockerfile::Span;
use gantry_images::{CreateOptions, ImageConfig, ImageStore, Layer, Lease};
use gantry_names::{ChainId, ImageId, Reference};
use gantry_store::{Store, StoreError};

use crate::build::Build;
use crate::built::Built;
use crate::cache::Cache;
use crate::failure::{BuildError, Cause};
use crate::file;
use crate::mounts::CacheMounts;
use crate::progress::Progress;
use crate::request::BuildRequest;
use crate::step::Outside;
use crate::upkeep::Gc;

/// What builds work with; one for all builds of an engine.
#[derive(Clone)]
pub struct Builder {
    /// Images, their layers and blobs.
    pub images: ImageStore,
    /// The steps of all builds.
    pub cache: Arc<Cache>,
    /// Runs steps, finds base images.
    pub outside: Arc<dyn Outside>,
    /// Own folder below the data root: scratch space and cache mounts.
    pub folder: PathBuf,
    /// Folders of `--mount=type=cache`.
    pub mounts: CacheMounts,
    /// What of the cache is thrown away without being asked.
    pub gc: Gc,
}

impl Builder {
    /// A builder over an engine's images and records.
    pub fn open(
        images: ImageStore,
        store: &Store,
        outside: Arc<dyn Outside>,
        folder: PathBuf,
    ) -> Result<Self, StoreError> {
        let cache = Arc::new(Cache::open(store.clone(), images.clone())?);
        let mounts = CacheMounts::open(&folder, store.clone());
        for left in ["scratch", "contexts"] {
            // Of builds that the engine's end has cut off.
            let _nothing_left = gantry_sys::tree::remove_dir_all(&folder.join(left));
        }
        Ok(Self { images, cache, outside, folder, mounts, gc: Gc::default() })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Builder {
    /// Builds, tags, and gives the image's id.
    pub async fn build(&self, request: BuildRequest, progress: Progress) -> Result<ImageId, BuildError> {
        let (file, tags) = (request.dockerfile_name.clone(), request.tags.clone());
        let built = self.solve(request, progress).await?;
        self.image(&built, &tags).map_err(|error| BuildError {
            file,
            step: 0,
            span: Span::default(),
            instruction: String::new(),
            cause: Box::new(Cause::Image(error)),
        })
    }

    /// Makes an image of what was built, with these names.
    pub fn image(&self, built: &Built, tags: &[Reference]) -> gantry_images::Result<ImageId> {
        let options = CreateOptions { built_here: true, names: tags.to_vec(), ..CreateOptions::default() };
        let id = self.images.create(&built.document, built.layers.clone(), &options)?;
        self.tell_names(&id, tags);
        Ok(id)
    }

    /// Tells that an image has got names.
    pub fn tell_names(&self, id: &ImageId, tags: &[Reference]) {
        for tag in tags {
            self.outside.tagged(id, &tag.or_latest());
        }
    }

    /// An image that came from elsewhere, layer by layer, as if it had been built: others may stand on it.
    pub fn adopt(&self, document: Vec<u8>, layers: Vec<Layer>, lease: Lease) -> gantry_images::Result<Built> {
        let config: ImageConfig = serde_json::from_slice(&document).map_err(std::io::Error::other)?;
        let diff_ids = config.diff_ids();
        if diff_ids.len() != layers.len() {
            let (expected, found) = (diff_ids.len(), layers.len());
            return Err(gantry_images::Error::LayerCount { expected, found });
        }
        let (mut below, mut placed) = (None, Vec::new());
        for (index, (diff_id, layer)) in diff_ids.iter().zip(layers).enumerate() {
            let mut layer = Layer { diff_id: diff_id.clone(), ..layer };
            self.images.unpack_layer(&lease, below.as_ref(), &layer, index)?;
            let chain = ChainId::extend(below.as_ref(), diff_id);
            layer.size = self.images.snapshots().usage(chain.as_str())?.bytes;
            placed.push(layer);
            below = Some(chain);
        }
        let _lease = Arc::new(lease);
        Ok(Built {
            config,
            document,
            layers: placed,
            key: None,
            trail: Vec::new(),
            bases: BTreeMap::new(),
            _lease,
        })
    }

    /// Builds, and makes no image of it yet.
    pub async fn solve(&self, request: BuildRequest, progress: Progress) -> Result<Built, BuildError> {
        let (file, globals, plan) = file::read(&request)?;
        let build = Arc::new(Build::new(self, request, progress, file, globals, &plan));
        let ended = Arc::clone(&build).run(&plan).await;
        build.flush().await;
        ended
    }
}
