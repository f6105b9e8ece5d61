//! Cache mounts: folders that later builds see again, by name.
//!
//! ```text
//! <folder>/mounts/<id>      the folder; <id> is the digest of its name
//! build.mounts   <id> -> MountEntry: what it is called, when it was last of use
//! ```

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_dockerfile::mount::{Owner, Sharing};
use gantry_names::Digest;
use gantry_store::{Store, StoreError, Table};
use rustix::fs::{Gid, Mode, Uid};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::cache::now_ns;

const MOUNTS: Table<Digest, MountEntry> = Table::new("build.mounts");
/// Second, third, ... folders of one name for builds that will not share.
const PRIVATE_LIMIT: usize = 64;

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountEntry {
    /// Its name, or its place in the step.
    pub name: String,
    /// Nanoseconds since 1970.
    pub created_ns: i64,
    /// Nanoseconds since 1970.
    pub used_ns: i64,
    /// How often a step had it.
    pub uses: u64,
}

/// All folders. Cheap to clone.
#[derive(Clone)]
pub struct CacheMounts {
    folder: PathBuf,
    store: Store,
    /// One lock a folder: sharers read it, who wants it alone writes it.
    locks: Arc<Mutex<HashMap<Digest, Arc<RwLock<()>>>>>,
}

impl std::fmt::Debug for CacheMounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheMounts").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A folder in use; free again when dropped.
#[derive(Debug)]
pub struct Taken {
    /// Where it is.
    pub path: PathBuf,
    /// It was made just now and is empty.
    pub fresh: bool,
    _held: Held,
}

#[derive(Debug)]
#[expect(dead_code, reason = "the guards are held, not read")]
enum Held {
    Shared(OwnedRwLockReadGuard<()>),
    Alone(OwnedRwLockWriteGuard<()>),
}

/// Why a folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MountsError {
    /// The file system.
    #[error("cache mount {name}: {cause}")]
    Io {
        /// Its name.
        name: String,
        /// The kernel's word.
        #[source]
        cause: std::io::Error,
    },
    /// Records.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CacheMounts {
    /// The folders below `folder`.
    pub fn open(folder: &Path, store: Store) -> Self {
        Self { folder: folder.join("mounts"), store, locks: Arc::default() }
    }

    fn lock_of(&self, id: &Digest) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(id.clone()).or_default())
    }

    /// Takes the folder called `name`: `Locked` waits until nobody else has it, `Private` takes another one then.
    pub async fn take(&self, name: &str, sharing: Sharing, owner: Owner) -> Result<Taken, MountsError> {
        let (id, name, held) = match sharing {
            Sharing::Shared => {
                let id = id_of(name);
                let held = Held::Shared(self.lock_of(&id).read_owned().await);
                (id, name.to_owned(), held)
            }
            Sharing::Locked => {
                let id = id_of(name);
                let held = Held::Alone(self.lock_of(&id).write_owned().await);
                (id, name.to_owned(), held)
            }
            Sharing::Private => self.take_private(name).await,
        };
        let mounts = self.clone();
        let made =
            tokio::task::spawn_blocking(move || mounts.make(&id, &name, owner).map(|made| (made, held)));
        let ((path, fresh), _held) = match made.await {
            Ok(made) => made?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        Ok(Taken { path, fresh, _held })
    }

    async fn take_private(&self, name: &str) -> (Digest, String, Held) {
        for number in 0..PRIVATE_LIMIT {
            let name = if number == 0 { name.to_owned() } else { format!("{name} ({number})") };
            let id = id_of(&name);
            if let Ok(held) = self.lock_of(&id).try_write_owned() {
                return (id, name, Held::Alone(held));
            }
        }
        let id = id_of(name);
        let held = Held::Alone(self.lock_of(&id).write_owned().await);
        (id, name.to_owned(), held)
    }

    fn make(&self, id: &Digest, name: &str, owner: Owner) -> Result<(PathBuf, bool), MountsError> {
        let path = self.folder.join(id.hex());
        let wrong = |cause: std::io::Error| MountsError::Io { name: name.to_owned(), cause };
        let fresh = !path.exists();
        if fresh {
            std::fs::create_dir_all(&path).map_err(wrong)?;
            let (uid, gid) = (owner.uid.unwrap_or(0), owner.gid.unwrap_or(0));
            rustix::fs::chown(&path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .and_then(|()| rustix::fs::chmod(&path, Mode::from_raw_mode(owner.mode.unwrap_or(0o755))))
                .map_err(|error| wrong(error.into()))?;
        }
        let now = now_ns();
        self.store.write(|tx| {
            let old = tx.get(MOUNTS, id)?;
            let entry = MountEntry {
                name: name.to_owned(),
                created_ns: old.as_ref().map_or(now, |old| old.created_ns),
                used_ns: now,
                uses: old.map_or(0, |old| old.uses) + 1,
            };
            tx.put(MOUNTS, id, &entry)
        })?;
        Ok((path, fresh))
    }

    /// All folders with their bytes, and whether a step has them now. Blocking: it walks them.
    pub fn list(&self) -> Result<BTreeMap<Digest, (MountEntry, u64, bool)>, StoreError> {
        let rows = self.store.read(|tx| tx.list(MOUNTS))?.rows;
        Ok(rows
            .into_iter()
            .map(|(id, entry)| {
                let in_use = self.lock_of(&id).try_write().is_err();
                let bytes = bytes_below(&self.folder.join(id.hex()));
                (id, (entry, bytes, in_use))
            })
            .collect())
    }

    /// Removes a folder that no step has; says whether it is gone. Blocking.
    pub fn remove(&self, id: &Digest) -> Result<bool, MountsError> {
        let lock = self.lock_of(id);
        let Ok(_alone) = lock.try_write() else { return Ok(false) };
        match gantry_sys::tree::remove_dir_all(&self.folder.join(id.hex())) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(MountsError::Io { name: id.to_string(), cause });
            }
            _ => {}
        }
        self.store.write_freeing(|tx| tx.remove(MOUNTS, id).map(|_| ()))?;
        Ok(true)
    }
}

fn id_of(name: &str) -> Digest {
    Digest::sha256_of(name.as_bytes())
}

/// Bytes of all files below a folder; what goes away meanwhile does not count.
fn bytes_below(folder: &Path) -> u64 {
    let mut open = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => open.push(entry.path()),
                Ok(found) => bytes += found.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> CacheMounts {
        CacheMounts::open(folder, Store::open(&folder.join("store.db")).unwrap())
    }

    #[tokio::test]
    async fn a_private_folder_is_another_one_while_the_first_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mounts = open(folder.path());
        let first = mounts.take("a", Sharing::Private, Owner::default()).await.unwrap();
        let second = mounts.take("a", Sharing::Private, Owner::default()).await.unwrap();
        assert_ne!(first.path, second.path);
        let path = first.path.clone();
        drop(first);
        let third = mounts.take("a", Sharing::Private, Owner::default()).await.unwrap();
        assert_eq!((third.path.clone(), third.fresh), (path, false));
    }

    #[tokio::test]
    async fn a_locked_folder_is_waited_for_and_never_removed_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let mounts = open(folder.path());
        let first = mounts.take("a", Sharing::Locked, Owner::default()).await.unwrap();
        std::fs::write(first.path.join("x"), "12345").unwrap();
        let id = id_of("a");
        assert!(!mounts.remove(&id).unwrap());
        let other = mounts.clone();
        let waiting =
            tokio::spawn(async move { other.take("a", Sharing::Locked, Owner::default()).await.unwrap() });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        let second = waiting.await.unwrap();
        assert!(!second.fresh);
        let listed = mounts.list().unwrap();
        let (entry, bytes, in_use) = &listed[&id];
        assert_eq!((entry.name.as_str(), entry.uses, *bytes, *in_use), ("a", 2, 5, true));
        drop(second);
        assert!(mounts.remove(&id).unwrap());
        assert!(mounts.list().unwrap().is_empty());
    }
}
