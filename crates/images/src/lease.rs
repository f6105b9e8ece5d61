use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_names::{ChainId, ImageId};

use crate::{Error, Image, ImageStore, Layer, Result};

/// While it lives, the blobs that come in and the layers it holds are not removed. Take one before bringing in the first
/// blob of an image, drop it after [`ImageStore::create`].
#[derive(Debug)]
pub struct Lease {
    holds: Arc<Holds>,
    mine: Mutex<Vec<String>>,
    _blobs: Option<gantry_content::Lease>,
}

impl Lease {
    /// Keeps the layer chain from being removed while this lease lives, whether it is there yet or not.
    pub fn hold(&self, chain: &ChainId) {
        let name = chain.to_string();
        *self.holds.lock().entry(name.clone()).or_insert(0) += 1;
        self.mine.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut table = self.holds.lock();
        for name in self.mine.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(count) = table.get_mut(&name) {
                *count -= 1;
                if *count == 0 {
                    table.remove(&name);
                }
            }
        }
    }
}

/// Says of a blob whether it must stay.
pub(crate) type Keeper = Arc<dyn Fn(&gantry_names::Digest) -> bool + Send + Sync>;

/// Who holds which layer chains. Removal of layers happens under this lock, so "it is there, I use it" and "nobody uses it,
/// it goes" never interleave.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    table: Mutex<HashMap<String, usize>>,
}

impl Holds {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Counts are changed in one step each; a panic elsewhere leaves them whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ImageStore {
    /// Takes a lease.
    pub fn lease(&self) -> Lease {
        Lease {
            holds: Arc::clone(&self.inner.holds),
            mine: Mutex::default(),
            _blobs: Some(self.inner.content.lease()),
        }
    }

    /// Takes a lease of layers alone, for one who keeps it for long: it keeps no blob that comes in meanwhile.
    pub fn holder(&self) -> Lease {
        Lease { holds: Arc::clone(&self.inner.holds), mine: Mutex::default(), _blobs: None }
    }

    /// Keeps layers and their blobs while `lease` lives. `false` where one of them is gone already.
    pub fn hold_layers(&self, lease: &Lease, layers: &[Layer]) -> bool {
        let (mut chain, mut here) = (None, true);
        for layer in layers {
            let next = ChainId::extend(chain.as_ref(), &layer.diff_id);
            lease.hold(&next);
            here &= self.inner.content.touch(&layer.blob);
            chain = Some(next);
        }
        here && chain.is_none_or(|chain| self.inner.snapshots.stat(chain.as_str()).is_ok())
    }

    /// An image to make another one of: unpacked, and whatever becomes of it, its layers stay while `lease` lives. Blocking.
    pub fn held(&self, lease: &Lease, id: &ImageId) -> Result<Image> {
        self.unpack(lease, id)?;
        let image = self.get(id)?;
        match self.hold_layers(lease, &image.record.layers) {
            true => Ok(image),
            // Somebody removed it between the look and the hold.
            false => Err(Error::NotFound(id.to_string())),
        }
    }

    /// Lets somebody beside the records name blobs that must stay. One at a time: the last one asked for counts.
    pub fn kept_by(&self, keeps: impl Fn(&gantry_names::Digest) -> bool + Send + Sync + 'static) {
        *self.inner.keeper.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keeps));
    }

    pub(crate) fn is_kept(&self, blob: &gantry_names::Digest) -> bool {
        let keeper = self.inner.keeper.read().unwrap_or_else(PoisonError::into_inner).clone();
        keeper.is_some_and(|keeps| keeps(blob))
    }
}
