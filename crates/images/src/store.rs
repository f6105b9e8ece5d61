use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use gantry_content::ContentStore;
use gantry_names::ImageId;
use gantry_snapshots::Snapshotter;
use gantry_store::{Damaged, Store};

use crate::catalog::Catalog;
use crate::layer::UNPACKING;
use crate::lease::{Holds, Keeper};
use crate::record::{MIGRATIONS, RECORDS, REFERENCES};
use crate::{Error, Image, ImageConfig, Result};

/// The largest config, manifest or index document that is read. Docker's registry client stops at 4 MiB.
pub(crate) const MAX_DOCUMENT: u64 = 8 << 20;

/// All images of this machine. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct ImageStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) content: ContentStore,
    pub(crate) snapshots: Arc<dyn Snapshotter>,
    pub(crate) holds: Arc<Holds>,
    /// The rows in memory.
    pub(crate) catalog: RwLock<Arc<Catalog>>,
    /// Held while rows are changed.
    pub(crate) changing: Mutex<()>,
    pub(crate) pruning: AtomicBool,
    /// Held while a layer gets its name.
    pub(crate) placing: Mutex<()>,
    /// Held while the snapshot that an image's containers stand on is made: whoever comes second finds it whole.
    pub(crate) furnishing: Mutex<()>,
    /// Who beside the records needs blobs.
    pub(crate) keeper: RwLock<Option<Keeper>>,
    /// Parsed config documents. They never change, and every listing wants them all.
    configs: Mutex<HashMap<ImageId, Arc<ImageConfig>>>,
}

impl std::fmt::Debug for ImageStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageStore").field("driver", &self.inner.snapshots.driver()).finish_non_exhaustive()
    }
}

impl ImageStore {
    /// Opens the images over their three grounds.
    pub fn open(store: Store, content: ContentStore, snapshots: Arc<dyn Snapshotter>) -> Result<ImageStore> {
        store.migrate("images", MIGRATIONS)?;
        for left in snapshots.walk()?.iter().filter(|info| info.name.starts_with(UNPACKING)) {
            // A layer that was being unpacked when the engine went away.
            snapshots.remove(&left.name)?;
        }
        let inner = Inner {
            catalog: RwLock::new(Arc::new(Catalog::read(&store)?)),
            changing: Mutex::default(),
            store,
            content,
            snapshots,
            holds: Arc::default(),
            pruning: AtomicBool::new(false),
            placing: Mutex::default(),
            furnishing: Mutex::default(),
            keeper: RwLock::default(),
            configs: Mutex::default(),
        };
        let images = ImageStore { inner: Arc::new(inner) };
        images.heal()?;
        Ok(images)
    }

    /// Unpacks layers anew that the snapshotter lost to a power cut. What cannot be (its blob is damaged) is told when the
    /// image is used.
    fn heal(&self) -> Result<()> {
        let lease = self.lease();
        for (id, record) in self.catalog().records() {
            if record.chains().iter().any(|chain| self.inner.snapshots.stat(chain.as_str()).is_err()) {
                let _told_when_used = self.unpack(&lease, id);
            }
        }
        Ok(())
    }

    /// The blobs below.
    pub fn content(&self) -> &ContentStore {
        &self.inner.content
    }

    /// The snapshots below.
    pub fn snapshots(&self) -> &Arc<dyn Snapshotter> {
        &self.inner.snapshots
    }

    /// The image of exactly this id.
    pub fn get(&self, id: &ImageId) -> Result<Image> {
        self.image_in(&self.catalog(), id)
    }

    /// Records that cannot be read; each costs one image or one name and is told by its owner at start.
    pub fn damaged(&self) -> Result<Vec<Damaged>> {
        self.inner.store.read(|tx| {
            let mut damaged = tx.list(RECORDS)?.damaged;
            damaged.extend(tx.list(REFERENCES)?.damaged);
            Ok(damaged)
        })
    }

    pub(crate) fn image_in(&self, catalog: &Catalog, id: &ImageId) -> Result<Image> {
        let record = catalog.record(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
        Ok(Image {
            id: id.clone(),
            record: record.clone(),
            config: self.config(id)?,
            names: catalog.names(id),
        })
    }

    /// The parsed config document of an image.
    pub(crate) fn config(&self, id: &ImageId) -> Result<Arc<ImageConfig>> {
        if let Some(known) = self.configs().get(id) {
            return Ok(Arc::clone(known));
        }
        let config = Arc::new(parse_config(id.as_str(), &self.config_bytes(id)?)?);
        self.configs().insert(id.clone(), Arc::clone(&config));
        Ok(config)
    }

    /// The config document as it came.
    pub fn config_bytes(&self, id: &ImageId) -> Result<Vec<u8>> {
        Ok(self.inner.content.read(&id.0, MAX_DOCUMENT)?)
    }

    pub(crate) fn forget_config(&self, id: &ImageId) {
        self.configs().remove(id);
    }

    fn configs(&self) -> MutexGuard<'_, HashMap<ImageId, Arc<ImageConfig>>> {
        // A cache of immutable values is never half-changed.
        self.inner.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a config document; one without a root file system is none.
pub(crate) fn parse_config(id: &str, bytes: &[u8]) -> Result<ImageConfig> {
    let refuse = |why: String| Error::Config { id: id.to_owned(), why };
    let config: ImageConfig = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
    if config.rootfs.is_none() {
        return Err(refuse("invalid image JSON, no RootFS key".to_owned()));
    }
    Ok(config)
}
