//! The cache: what each step made, by its key. It survives restarts and is shared by all builds.
//!
//! ```text
//! build.cache   <key> -> Entry: the state after the step, its inputs, when it was last of use
//! ```
//!
//! All entries are in memory; what changed is written in one transaction whenever a layer was made, and at a build's end.
//! Their layers are held, and their blobs named to the image store, from [`Cache::open`] on: before anything is swept.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_images::{ImageConfig, ImageStore, Layer, Lease};
use gantry_names::{ChainId, Digest};
use gantry_store::{Migration, Store, StoreError, Table};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{Difference, Inputs};

const ENTRIES: Table<Digest, Entry> = Table::new("build.cache");
const MIGRATIONS: &[Migration] = &[|_| Ok(())];

/// The state of a stage after an instruction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The image as it would be now.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// The key of the step that led here; none at the start of `FROM scratch`.
    pub key: Option<Digest>,
}

impl Point {
    /// The snapshot of all layers.
    pub fn chain(&self) -> Option<ChainId> {
        self.config.chain_id()
    }
}

/// One remembered step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The instruction as written.
    pub text: String,
    /// What went in.
    pub inputs: Inputs,
    /// What came out.
    pub point: Point,
    /// Bytes of the layer the step made; zero where it made none.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub created_ns: i64,
    /// Nanoseconds since 1970.
    pub used_ns: i64,
    /// How often a build took it.
    pub uses: u64,
}

/// All remembered steps.
pub struct Cache {
    store: Store,
    images: ImageStore,
    state: Mutex<State>,
    /// Blobs of all entries' layers: what the image store asks before it collects.
    blobs: Arc<Mutex<HashSet<Digest>>>,
}

struct State {
    entries: BTreeMap<Digest, Arc<Entry>>,
    /// Changed since the last write; what is no entry any more is to be removed.
    dirty: HashSet<Digest>,
    /// Holds the layers of all entries; replaced when entries are removed.
    lease: Lease,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}

impl Cache {
    /// Opens the cache and holds what its entries need. Damaged ones are left out: each costs one rebuild.
    pub fn open(store: Store, images: ImageStore) -> Result<Self, StoreError> {
        store.migrate("build", MIGRATIONS)?;
        let rows = store.read(|tx| tx.list(ENTRIES))?.rows;
        let entries: BTreeMap<_, _> = rows.into_iter().map(|(key, entry)| (key, Arc::new(entry))).collect();
        let lease = images.holder();
        let blobs = Arc::new(Mutex::new(HashSet::new()));
        for entry in entries.values() {
            hold(&lease, &blobs, &entry.point);
        }
        let asked = Arc::clone(&blobs);
        images.kept_by(move |blob| asked.lock().unwrap_or_else(PoisonError::into_inner).contains(blob));
        let state = Mutex::new(State { entries, dirty: HashSet::new(), lease });
        Ok(Self { store, images, state, blobs })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state that a step with these inputs led to before. Its use is noted.
    pub fn find(&self, key: &Digest) -> Option<Point> {
        let entry = self.state().entries.get(key).cloned()?;
        // A layer that somebody removed by hand makes the entry worthless.
        let (snapshots, content) = (self.images.snapshots(), self.images.content());
        let here = entry.point.chain().is_none_or(|chain| snapshots.stat(chain.as_str()).is_ok())
            && entry.point.layers.iter().all(|layer| content.contains(&layer.blob));
        let mut state = self.state();
        state.dirty.insert(key.clone());
        if !here {
            state.entries.remove(key);
            return None;
        }
        let used = Entry { used_ns: now_ns(), uses: entry.uses + 1, ..Entry::clone(&entry) };
        state.entries.insert(key.clone(), Arc::new(used));
        Some(entry.point.clone())
    }

    /// Remembers a step. It is on disk after the next [`Cache::flush`].
    pub fn remember(&self, key: &Digest, text: &str, inputs: &Inputs, point: &Point, size: u64) {
        let now = now_ns();
        let entry = Entry {
            text: text.to_owned(),
            inputs: inputs.clone(),
            point: point.clone(),
            size,
            created_ns: now,
            used_ns: now,
            uses: 0,
        };
        let mut state = self.state();
        hold(&state.lease, &self.blobs, point);
        state.entries.insert(key.clone(), Arc::new(entry));
        state.dirty.insert(key.clone());
    }

    /// Writes what has changed, in one transaction. Blocking.
    pub fn flush(&self) -> Result<(), StoreError> {
        let changed: Vec<(Digest, Option<Arc<Entry>>)> = {
            let mut state = self.state();
            let dirty = std::mem::take(&mut state.dirty);
            dirty.into_iter().map(|key| (key.clone(), state.entries.get(&key).cloned())).collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        let written = self.store.write_freeing(|tx| {
            changed.iter().try_for_each(|(key, entry)| match entry {
                Some(entry) => tx.put(ENTRIES, key, &**entry),
                None => tx.remove(ENTRIES, key).map(|_| ()),
            })
        });
        if written.is_err() {
            self.state().dirty.extend(changed.into_iter().map(|(key, _)| key));
        }
        written
    }

    /// Why a step with these inputs is not here: compared with the newest entry of the same instruction.
    pub fn explain(&self, text: &str, inputs: &Inputs) -> Difference {
        let state = self.state();
        let same = || state.entries.values().filter(|entry| entry.text == text);
        // One on the same state tells more than a newer one of another build.
        let nearest = same().filter(|entry| entry.inputs.parent == inputs.parent);
        let earlier = nearest.max_by_key(|entry| entry.created_ns);
        match earlier.or_else(|| same().max_by_key(|entry| entry.created_ns)) {
            Some(earlier) => inputs.difference(&earlier.inputs),
            None => Difference::New,
        }
    }

    /// An entry's key and its parent's, without noting a use.
    pub(crate) fn entry(&self, key: &Digest) -> Option<(Digest, Option<Digest>)> {
        self.peek(key).map(|entry| (key.clone(), entry.inputs.parent.clone()))
    }

    /// An entry, without noting a use.
    pub(crate) fn peek(&self, key: &Digest) -> Option<Arc<Entry>> {
        self.state().entries.get(key).cloned()
    }

    /// All entries by key.
    pub fn entries(&self) -> Vec<(Digest, Arc<Entry>)> {
        self.state().entries.iter().map(|(key, entry)| (key.clone(), Arc::clone(entry))).collect()
    }

    /// Forgets entries and gives back what only they needed. Gives those that were there. Blocking.
    pub fn forget(&self, keys: &[Digest]) -> Result<Vec<Arc<Entry>>, StoreError> {
        let mut gone = Vec::new();
        let old = {
            let mut state = self.state();
            for key in keys {
                gone.extend(state.entries.remove(key));
                state.dirty.insert(key.clone());
            }
            // Holds are given back by taking fresh ones for what is left.
            let fresh = self.images.holder();
            let blobs = Mutex::new(HashSet::new());
            for entry in state.entries.values() {
                hold(&fresh, &blobs, &entry.point);
            }
            *self.blobs.lock().unwrap_or_else(PoisonError::into_inner) =
                blobs.into_inner().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut state.lease, fresh)
        };
        drop(old);
        self.flush()?;
        Ok(gone)
    }
}

fn hold(lease: &Lease, blobs: &Mutex<HashSet<Digest>>, point: &Point) {
    let mut blobs = blobs.lock().unwrap_or_else(PoisonError::into_inner);
    let mut chain = None;
    for layer in &point.layers {
        let next = ChainId::extend(chain.as_ref(), &layer.diff_id);
        lease.hold(&next);
        chain = Some(next);
        blobs.insert(layer.blob.clone());
    }
}

pub(crate) fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
