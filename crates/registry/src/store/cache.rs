//! What was read lately, so that a busy tag costs no file operation.
//!
//! One process owns the storage (it holds the lock), so nobody changes links behind the cache's back. A reader may
//! still race with a writer: it remembers the epoch before it reads and its finding is kept only if no writer came
//! between.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gantry_names::Digest;

/// Links kept, each about 200 bytes.
const LINKS_MAX: usize = 32 * 1024;
/// Manifest bytes kept.
const MANIFEST_BYTES_MAX: usize = 8 << 20;

/// A manifest as it is sent.
#[derive(Debug)]
pub struct Stored {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its exact bytes.
    pub bytes: Bytes,
}

/// Two generations: when the young one is full it becomes the old one, and what nobody asked for is forgotten.
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    weight: usize,
    max: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Generations<K, V> {
    fn new(max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), weight: 0, max }
    }

    fn get(&mut self, key: &K, weigh: impl Fn(&V) -> usize) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.insert(key.clone(), value.clone(), weigh(&value));
        Some(value)
    }

    fn insert(&mut self, key: K, value: V, weight: usize) {
        self.weight += weight;
        self.young.insert(key, value);
        if self.weight > self.max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.weight = 0;
    }
}

/// What a repository's link says, by the link's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The repository holds this blob, of this size.
    Blob(u64),
    /// The repository holds this manifest.
    Revision,
    /// The tag names this manifest.
    Tag(Digest),
}

/// The store's memory.
pub struct Cache {
    epoch: AtomicU64,
    links: Mutex<Generations<String, Link>>,
    manifests: Mutex<Generations<Digest, Arc<Stored>>>,
}

/// A reader's note of when it began.
#[derive(Clone, Copy)]
pub struct Began(u64);

impl Cache {
    pub fn new() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            links: Mutex::new(Generations::new(LINKS_MAX)),
            manifests: Mutex::new(Generations::new(MANIFEST_BYTES_MAX)),
        }
    }

    /// To be taken before reading what will be kept.
    pub fn begin(&self) -> Began {
        Began(self.epoch.load(Ordering::SeqCst))
    }

    pub fn link(&self, path: &str) -> Option<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.get(&path.to_owned(), |_| 1)
    }

    /// Keeps what was read, unless something changed meanwhile.
    pub fn keep_link(&self, began: Began, path: String, link: Link) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if self.epoch.load(Ordering::SeqCst) == began.0 {
            links.insert(path, link, 1);
        }
    }

    /// Forgets one link. To be called after the change and before it is acknowledged.
    pub fn forget_link(&self, path: &str) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        self.epoch.fetch_add(1, Ordering::SeqCst);
        links.remove(&path.to_owned());
    }

    /// Forgets all links: after a sweep that touched many.
    pub fn forget_links(&self) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        self.epoch.fetch_add(1, Ordering::SeqCst);
        links.clear();
    }

    /// A manifest's bytes never change, so they need no epoch; whether a repository may read them is its link.
    pub fn manifest(&self, digest: &Digest) -> Option<Arc<Stored>> {
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        manifests.get(digest, |stored| stored.bytes.len())
    }

    pub fn keep_manifest(&self, stored: &Arc<Stored>) {
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = stored.bytes.len();
        manifests.insert(stored.digest.clone(), Arc::clone(stored), weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_older_than_a_change_is_not_kept() {
        let cache = Cache::new();
        let began = cache.begin();
        cache.forget_link("other");
        cache.keep_link(began, "x".into(), Link::Revision);
        assert_eq!(cache.link("x"), None);
        cache.keep_link(cache.begin(), "x".into(), Link::Revision);
        assert_eq!(cache.link("x"), Some(Link::Revision));
        cache.forget_link("x");
        assert_eq!(cache.link("x"), None);
    }

    #[test]
    fn the_cache_keeps_what_is_used_and_stays_bounded() {
        let mut kept = Generations::new(100);
        for i in 0..10_000 {
            kept.insert(i, i, 1);
            assert!(kept.get(&0, |_| 1).is_some(), "asked for at every step");
            assert!(kept.young.len() + kept.old.len() <= 103);
        }
        assert!(kept.get(&1, |_| 1).is_none());
    }
}
