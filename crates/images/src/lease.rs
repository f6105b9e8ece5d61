use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_names::ChainId;

use crate::ImageStore;

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

    /// Lets somebody beside the records name blobs that must stay. One at a time: the last one asked for counts.
    pub fn kept_by(&self, keeps: impl Fn(&gantry_names::Digest) -> bool + Send + Sync + 'static) {
        *self.inner.keeper.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keeps));
    }

    pub(crate) fn is_kept(&self, blob: &gantry_names::Digest) -> bool {
        let keeper = self.inner.keeper.read().unwrap_or_else(PoisonError::into_inner).clone();
        keeper.is_some_and(|keeps| keeps(blob))
    }
}
