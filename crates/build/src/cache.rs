//! The cache: what each step made, by its key. It survives restarts and is shared by all builds.
//!
//! ```text
//! build.cache   <key> -> Entry: the state after the step, its inputs, when it was last of use
//! ```
//!
//! Layers and blobs of entries are held by a lease while the engine runs; [`Cache::open`] takes it again before anything
//! is swept.

use std::sync::{Arc, Mutex, PoisonError};

use gantry_images::{ImageConfig, ImageStore, Layer, Lease};
use gantry_names::{ChainId, Digest};
use gantry_store::{Migration, Store, StoreError, Table};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::Inputs;

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
    /// Holds the layers of all entries; replaced when entries are pruned.
    lease: Mutex<Arc<Lease>>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}

impl Cache {
    /// Opens the cache and holds what its entries need.
    pub fn open(store: Store, images: ImageStore) -> Result<Self, StoreError> {
        store.migrate("build", MIGRATIONS)?;
        let cache = Self { lease: Mutex::new(Arc::new(images.lease())), store, images };
        for (_, entry) in cache.entries()? {
            cache.hold(&entry.point);
        }
        Ok(cache)
    }

    /// The state that a step with these inputs led to before. Its use is noted.
    pub fn find(&self, key: &Digest) -> Result<Option<Point>, StoreError> {
        let Some(mut entry) = self.store.read(|tx| tx.get(ENTRIES, key))? else { return Ok(None) };
        // A layer that somebody removed by hand makes the entry worthless.
        let here =
            entry.point.chain().is_none_or(|chain| self.images.snapshots().stat(chain.as_str()).is_ok());
        if !here || entry.point.layers.iter().any(|layer| !self.images.content().contains(&layer.blob)) {
            self.store.write(|tx| tx.remove(ENTRIES, key).map(|_| ()))?;
            return Ok(None);
        }
        entry.used_ns = now_ns();
        entry.uses += 1;
        self.store.write(|tx| tx.put(ENTRIES, key, &entry))?;
        Ok(Some(entry.point))
    }

    /// Remembers a step.
    pub fn remember(
        &self,
        key: &Digest,
        text: &str,
        inputs: &Inputs,
        point: &Point,
        size: u64,
    ) -> Result<(), StoreError> {
        self.hold(point);
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
        self.store.write(|tx| tx.put(ENTRIES, key, &entry))
    }

    /// Why a step with these inputs is not here: compared with the newest entry of the same instruction.
    pub fn explain(&self, text: &str, inputs: &Inputs) -> Result<String, StoreError> {
        let same = self.entries()?.into_iter().map(|(_, entry)| entry).filter(|entry| entry.text == text);
        Ok(match same.max_by_key(|entry| entry.created_ns) {
            Some(earlier) => inputs.difference(&earlier.inputs),
            None => "this instruction was never built here".into(),
        })
    }

    /// All entries by key, damaged ones left out: each costs one rebuild.
    pub fn entries(&self) -> Result<Vec<(Digest, Entry)>, StoreError> {
        self.store.read(|tx| tx.list(ENTRIES)).map(|listing| listing.rows)
    }

    /// Removes entries until `keep` is content: oldest use first while their layers take more than `limit` bytes, and all
    /// that `doomed` names. Gives the removed keys and the bytes of their layers.
    pub fn prune(
        &self,
        limit: u64,
        doomed: impl Fn(&Entry) -> bool,
    ) -> Result<(Vec<Digest>, u64), StoreError> {
        let mut entries = self.entries()?;
        entries.sort_by_key(|(_, entry)| entry.used_ns);
        let mut total: u64 = entries.iter().map(|(_, entry)| entry.size).sum();
        let (mut removed, mut freed) = (Vec::new(), 0);
        for (key, entry) in &entries {
            if doomed(entry) || total > limit {
                total -= entry.size;
                freed += entry.size;
                removed.push(key.clone());
            }
        }
        self.store
            .write_freeing(|tx| removed.iter().try_for_each(|key| tx.remove(ENTRIES, key).map(|_| ())))?;
        // Holds are given back by taking a fresh lease for what is left.
        let fresh = Arc::new(self.images.lease());
        let old = std::mem::replace(&mut *self.lease.lock().unwrap_or_else(PoisonError::into_inner), fresh);
        for (_, entry) in self.entries()? {
            self.hold(&entry.point);
        }
        drop(old);
        Ok((removed, freed))
    }

    /// Whether an entry needs a blob: for the image store's sweep.
    pub fn needed_blobs(&self) -> Result<std::collections::HashSet<Digest>, StoreError> {
        let layers = self.entries()?.into_iter().flat_map(|(_, entry)| entry.point.layers);
        Ok(layers.map(|layer| layer.blob).collect())
    }

    fn hold(&self, point: &Point) {
        let lease = Arc::clone(&self.lease.lock().unwrap_or_else(PoisonError::into_inner));
        let mut chain = None;
        for layer in &point.layers {
            let next = ChainId::extend(chain.as_ref(), &layer.diff_id);
            lease.hold(&next);
            chain = Some(next);
        }
    }
}

fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
