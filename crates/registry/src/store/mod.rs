//! The registry's storage: blobs once, and per repository the right to read them.
//!
//! Life of a push: [`upload`] stages bytes, `Store::adopt_blob` makes them a blob with a link, `put_manifest`
//! checks that everything a manifest needs is linked and links the manifest, last of all the tag. Each step is
//! whole on disk before the next begins, so a crash leaves at worst bytes nobody names, which [`collect`] removes.
//!
//! Everything here blocks; the server calls it on blocking threads. The `cached_*` calls do no I/O.
//!
//! What must never be: a blob removed while a push that was told "it is here" may still need it. Two things hold
//! that: whoever links content does so under the shared side of `gate` and touches it first; the collector removes
//! under the exclusive side and leaves alone what was touched.

pub mod blob;
pub mod cache;
pub mod collect;
pub mod driver;
mod far;
pub mod layout;
pub mod local;
pub mod manifest;
pub mod referrer;
pub mod retain;
pub mod tag;
pub mod upload;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use gantry_names::Digest;

use crate::name::RepositoryName;
use cache::Cache;
use driver::Driver;

/// The storage of one registry.
pub struct Store {
    driver: Arc<dyn Driver>,
    cache: Cache,
    /// Shared: links content. Exclusive: removes content.
    gate: RwLock<()>,
    /// When content was last promised to somebody.
    touched: Mutex<HashMap<Digest, Instant>>,
    repositories: RwLock<BTreeSet<RepositoryName>>,
    /// Bytes linked per repository, where somebody asked.
    usage: Mutex<HashMap<RepositoryName, u64>>,
    /// Serializes writers of one tag.
    tag_writers: Vec<Mutex<()>>,
    opened: Instant,
}

/// Enough that two busy tags seldom share a writer lock.
const TAG_WRITERS: usize = 64;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the storage and lists its repositories.
    pub fn open(driver: Arc<dyn Driver>) -> io::Result<Self> {
        let store = Self {
            driver,
            cache: Cache::new(),
            gate: RwLock::new(()),
            touched: Mutex::new(HashMap::new()),
            repositories: RwLock::new(BTreeSet::new()),
            usage: Mutex::new(HashMap::new()),
            tag_writers: (0..TAG_WRITERS).map(|_| Mutex::new(())).collect(),
            opened: Instant::now(),
        };
        let mut found = BTreeSet::new();
        store.walk_repositories(layout::REPOSITORIES, "", &mut found)?;
        *store.repositories.write().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(store)
    }

    fn walk_repositories(
        &self,
        directory: &str,
        name: &str,
        found: &mut BTreeSet<RepositoryName>,
    ) -> io::Result<()> {
        for entry in self.driver.list(directory)? {
            if !entry.directory {
                continue;
            }
            if entry.name.starts_with('_') {
                found.extend(RepositoryName::parse(name));
                continue;
            }
            let below = if name.is_empty() { entry.name.clone() } else { format!("{name}/{}", entry.name) };
            self.walk_repositories(&format!("{directory}/{}", entry.name), &below, found)?;
        }
        Ok(())
    }

    /// Whether anything was ever pushed under this name (and not all deleted).
    pub fn knows(&self, name: &RepositoryName) -> bool {
        self.repositories.read().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// All repositories in byte order, after `last`, at most `limit`.
    pub fn repositories(&self, last: Option<&str>, limit: usize) -> Vec<RepositoryName> {
        let all = self.repositories.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|name| last.is_none_or(|last| name.as_str() > last)).take(limit).cloned().collect()
    }

    fn remember(&self, name: &RepositoryName) {
        if !self.knows(name) {
            self.repositories.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        }
    }

    fn forget(&self, name: &RepositoryName) {
        self.repositories.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        lock(&self.usage).remove(name);
    }

    /// Whether the place of storage answers.
    pub fn check(&self) -> io::Result<()> {
        self.driver.check()
    }

    fn linking(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn removing(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that somebody was told this content is here.
    pub fn touch(&self, digest: &Digest) {
        lock(&self.touched).insert(digest.clone(), Instant::now());
    }

    /// A blocking read whose "not found" is an answer.
    fn maybe<T>(found: io::Result<T>) -> io::Result<Option<T>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(err) => Err(err),
        }
    }
}

/// Runs a store call on a blocking thread.
pub async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(err) => match err.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("a blocking task is never cancelled: nobody keeps its handle"),
        },
    }
}
