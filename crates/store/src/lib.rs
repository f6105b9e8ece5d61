//! The embedded metadata store: typed tables of JSON values over `redb`, one file, one transaction a request.
//!
//! What it is: the place of every small record that must survive a crash (containers, image references, volumes,
//! networks). What it is not: a home of blobs, logs or events; those are files of their own.
//!
//! Start with [`Store`], then [`Table`]: an owner declares its tables as constants, registers its migrations once with
//! [`Store::migrate`], and then reads and writes in closures:
//!
//! ```
//! # use gantry_store::{Store, Table, StoreError};
//! const PETS: Table<String, u32> = Table::new("pets");
//! # fn main() -> Result<(), StoreError> {
//! # let dir = tempfile::tempdir().expect("a directory");
//! let store = Store::open(&dir.path().join("store.db"))?;
//! store.write(|tx| tx.put(PETS, &"rex".to_owned(), &3))?;
//! assert_eq!(store.read(|tx| tx.get(PETS, &"rex".to_owned()))?, Some(3));
//! # Ok(())
//! # }
//! ```
//!
//! On disk: one `redb` file. Each row is key text -> `[crc32 of the rest, 4 bytes little endian][JSON]`. A row whose
//! checksum or JSON does not fit is *damaged*: it costs that row only, and every listing tells it.
//! The table `gantry.schema` holds the schema version of every owner.
//! A database that is damaged as a whole is replaced at its opening by the copy that [`Store::close`] made, where nothing was
//! written since; else opening fails and says where the last copy lies.

mod ballast;
mod error;
mod kept;
mod line;
mod row;
mod schema;
mod table;
mod transaction;

pub use error::StoreError;
pub use schema::Migration;
pub use table::{Damaged, Key, Listing, Table};
pub use transaction::{ReadTx, WriteTx};

use std::panic;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ballast::Ballast;
use line::Opened;
use redb::{Database, ReadableDatabase};

/// Page cache of the database. Records are small and hot; the bound keeps the idle engine under its memory budget.
const CACHE_BYTES: usize = 4 << 20;

/// Below twice this a file is not looked at for room to give back.
const COMPACT_FROM_BYTES: u64 = 256 << 10;
const PAGE_BYTES: u64 = 4 << 10;

/// The store. Cheap to clone; all clones are one database.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    ballast: Ballast,
    restored: bool,
    /// Closed for good: whoever still comes is refused.
    ended: AtomicBool,
    /// `None` once it is closed, and while a database that met an I/O error could not be opened again.
    db: RwLock<Option<Opened>>,
}

impl Store {
    /// Opens or makes the database file. A second opener of the same file is refused by its lock.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(StoreError::Io)?;
        }
        if !path.exists() && kept::beside(path).exists() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        let ballast = Ballast::beside(path);
        // A full disk must not keep the engine from starting: what it holds back is given up first.
        let with_room = |open: fn(&Path) -> Result<Database, StoreError>| match open(path) {
            Err(err) if err.is_full_disk() && ballast.drop_it() => open(path),
            other => other,
        };
        // Opening may write already.
        let has_spare = kept::is_current(path);
        let (db, restored) = match with_room(open_sound) {
            Err(StoreError::Unreadable { .. }) if has_spare => {
                kept::restore(path).map_err(StoreError::Io)?;
                (with_room(open_sound)?, true)
            }
            // Where there is no copy as new, what is damaged costs the rows that it holds, if the others can be used.
            Err(StoreError::Unreadable { .. }) => (with_room(open_usable)?, false),
            other => (other?, false),
        };
        // Environments and labels hold secrets; a file of another's making keeps nobody's mode.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .map_err(StoreError::Io)?;
        ballast.refill();
        let (path, ended, db) = (path.to_owned(), AtomicBool::new(false), RwLock::new(Some(Opened::new(db))));
        Ok(Store { inner: Arc::new(Inner { path, ballast, restored, ended, db }) })
    }

    /// Whether the file was damaged when it was opened, and its copy stands in for it.
    pub fn is_restored(&self) -> bool {
        self.inner.restored
    }

    /// Closes the database, for all clones, gives back the room of what was removed from it, and keeps a copy of it. Without
    /// this the next opening reads all of it once, and has no copy that is as new.
    pub fn close(&self) -> Result<(), StoreError> {
        let mut guard = self.inner.db.write().unwrap_or_else(PoisonError::into_inner);
        self.inner.ended.store(true, Ordering::Relaxed);
        if let Some(Opened { db, .. }) = guard.take() {
            // A file that stays as large as it was is no reason to have no copy of it.
            let _ = guarded(&self.inner.path, panic::AssertUnwindSafe(|| compacted(db, &self.inner.path)));
        }
        kept::keep(&self.inner.path).map_err(StoreError::Io)
    }

    /// Runs `work` in one read transaction: a consistent picture of all tables.
    pub fn read<T, E: From<StoreError>>(&self, work: impl Fn(&ReadTx) -> Result<T, E>) -> Result<T, E> {
        let run = || -> Result<T, Failure<E>> {
            let guard = self.inner.db.read().unwrap_or_else(PoisonError::into_inner);
            let opened = guard.as_ref().ok_or(Failure::Store(StoreError::Closed))?;
            let tx = opened.db.begin_read().map_err(|err| Failure::Store(err.into()))?;
            work(&ReadTx { tx }).map_err(Failure::Caller)
        };
        match run() {
            Err(Failure::Store(err)) if err.wants_reopening() => {
                self.reopen()?;
                run().map_err(Failure::into_caller)
            }
            other => other.map_err(Failure::into_caller),
        }
    }

    /// Runs `work` in one write transaction, durable when this returns. An error undoes all of it. Who writes at the same time
    /// waits for the disk once.
    /// `work` may run twice: once more after the database had to be opened again.
    pub fn write<T, E: From<StoreError>>(&self, work: impl Fn(&WriteTx) -> Result<T, E>) -> Result<T, E> {
        match self.try_write(&work) {
            Err(Failure::Store(err)) if err.wants_reopening() => {
                self.reopen()?;
                if !err.is_previous_io() {
                    return Err(err.into());
                }
                self.try_write(&work).map_err(Failure::into_caller)
            }
            other => other.map_err(Failure::into_caller),
        }
    }

    /// [`Store::write`] for work that frees room (removals and state changes of what exists): on a full disk the
    /// ballast kept for this moment is given up and the work is tried once more.
    pub fn write_freeing<T, E: From<StoreError>>(
        &self,
        work: impl Fn(&WriteTx) -> Result<T, E>,
    ) -> Result<T, E> {
        let first = match self.try_write(&work) {
            Ok(done) => {
                self.inner.ballast.refill();
                return Ok(done);
            }
            Err(failure) => failure,
        };
        match first {
            Failure::Store(err) if err.wants_reopening() => {
                self.inner.ballast.drop_it();
                self.reopen()?;
                self.try_write(&work).map_err(Failure::into_caller)
            }
            other => Err(other.into_caller()),
        }
    }

    fn try_write<T, E>(&self, work: &impl Fn(&WriteTx) -> Result<T, E>) -> Result<T, Failure<E>> {
        let guard = self.inner.db.read().unwrap_or_else(PoisonError::into_inner);
        let opened = guard.as_ref().ok_or(Failure::Store(StoreError::Closed))?;
        let (turn, tx) = opened.turn().map_err(Failure::Store)?;
        let tx = WriteTx { tx, failed: Default::default() };
        match work(&tx) {
            Ok(value) => turn.commit(tx.tx).map(|()| value).map_err(Failure::Store),
            Err(err) => {
                // The caller's error may have lost its origin; an I/O error of the database decides the retry.
                let io = tx.failed.take();
                let aborted = tx.tx.abort();
                match (io, aborted) {
                    (Some(io), _) => Err(Failure::Store(io)),
                    (None, _) => Err(Failure::Caller(err)),
                }
            }
        }
    }

    /// After an I/O error `redb` refuses all further work on the handle; a fresh one repairs and goes on.
    fn reopen(&self) -> Result<(), StoreError> {
        let mut guard = self.inner.db.write().unwrap_or_else(PoisonError::into_inner);
        if self.inner.ended.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        // Everyone in the line was told of the same failure; the first of them opens it for all.
        if guard.as_ref().is_some_and(Opened::is_sound) {
            return Ok(());
        }
        drop(guard.take());
        let again = match open_database(&self.inner.path) {
            // Opening repairs, which takes room: reading must go on also where there is none left. What is left of it is
            // held back again, for removals and not for what is new.
            Err(err) if err.is_full_disk() && self.inner.ballast.drop_it() => {
                let again = open_database(&self.inner.path);
                self.inner.ballast.refill();
                again
            }
            other => other,
        };
        *guard = Some(Opened::new(again?));
        Ok(())
    }
}

/// The database without the pages that hold nothing, where that is most of its file.
fn compacted(mut db: Database, path: &Path) -> Result<Database, StoreError> {
    let tx = db.begin_write()?;
    let used = tx.stats()?.allocated_pages() * PAGE_BYTES;
    tx.abort()?;
    if std::fs::metadata(path).map_err(StoreError::Io)?.len() > 2 * used.max(COMPACT_FROM_BYTES) {
        db.compact()?;
    }
    Ok(db)
}

/// Opens a database whose every page is as it was written.
fn open_sound(path: &Path) -> Result<Database, StoreError> {
    guarded(path, || {
        let mut db = open_database(path)?;
        if db.check_integrity()? {
            Ok(db)
        } else {
            Err(StoreError::unreadable(path, "its pages do not bear their checksums".to_owned()))
        }
    })
}

/// Opens a database that can be read through and written: what cannot is found here, not in the middle of a request.
fn open_usable(path: &Path) -> Result<Database, StoreError> {
    guarded(path, || {
        let db = open_database(path)?;
        transaction::read_through(&db)?;
        db.begin_write()?.commit()?;
        Ok(db)
    })
}

/// `redb` asserts in places what the pages of a file should hold.
fn guarded(
    path: &Path,
    open: impl FnOnce() -> Result<Database, StoreError> + panic::UnwindSafe,
) -> Result<Database, StoreError> {
    match panic::catch_unwind(open) {
        Ok(Err(StoreError::Database(err))) if error::is_damage(&err) => {
            Err(StoreError::unreadable(path, err.to_string()))
        }
        Ok(done) => done,
        Err(_) => Err(StoreError::unreadable(path, "its pages contradict each other".to_owned())),
    }
}

fn open_database(path: &Path) -> Result<Database, StoreError> {
    Ok(Database::builder().set_cache_size(CACHE_BYTES).create(path)?)
}

enum Failure<E> {
    Store(StoreError),
    Caller(E),
}

impl<E: From<StoreError>> Failure<E> {
    fn into_caller(self) -> E {
        match self {
            Failure::Store(err) => err.into(),
            Failure::Caller(err) => err,
        }
    }
}
