use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use gantry_names::{Digest, Hasher};

use crate::ingest::{Ingest, Writers};
use crate::lease::{Lease, Table};
use crate::{Error, Result};

/// The blobs below one directory. Cheap to clone; all clones are one store.
#[derive(Debug, Clone)]
pub struct ContentStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    blobs: PathBuf,
    ingests: PathBuf,
    leases: Arc<Table>,
    writers: Writers,
    nameless: AtomicU64,
}

/// What is known of a blob without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// The blob's name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// When it was committed.
    pub modified: SystemTime,
}

/// What a collection removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// The blobs that are gone.
    pub blobs: Vec<Digest>,
    /// The bytes they held.
    pub bytes: u64,
}

impl ContentStore {
    /// Opens the store below `root`, making its directories; nameless ingests of a former life are removed.
    pub fn open(root: &Path) -> Result<ContentStore> {
        let blobs = root.join("blobs").join("sha256");
        let ingests = root.join("ingest");
        for dir in [&blobs, &ingests] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .map_err(Error::io("making", dir))?;
        }
        for entry in fs::read_dir(&ingests).map_err(Error::io("listing", &ingests))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("tmp-") {
                // A leftover that resists costs space, not truth.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let inner = Inner {
            blobs,
            ingests,
            leases: Arc::default(),
            writers: Writers::default(),
            nameless: AtomicU64::new(0),
        };
        Ok(ContentStore { inner: Arc::new(inner) })
    }

    /// Opens a blob for reading. The open file outlives a deletion.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.path(digest)?;
        File::open(&path).map_err(|e| self.missing(digest, e, "opening blob"))
    }

    /// Where a blob lies; for callers that hand a path to the kernel (sendfile, reflink). Not checked for existence.
    pub fn path(&self, digest: &Digest) -> Result<PathBuf> {
        if digest.algorithm() != "sha256" {
            return Err(Error::Algorithm(digest.clone()));
        }
        Ok(self.inner.blobs.join(digest.hex()))
    }

    /// Reads a small blob whole (a manifest, a config), at most `max` bytes, and checks its bytes.
    pub fn read(&self, digest: &Digest, max: u64) -> Result<Vec<u8>> {
        let file = self.open_blob(digest)?;
        let path = self.path(digest)?;
        let size = file.metadata().map_err(Error::io("reading", &path))?.len();
        if size > max {
            return Err(Error::TooLarge { digest: digest.clone(), size, max });
        }
        let mut bytes = Vec::with_capacity(size as usize);
        file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("reading", &path))?;
        let found = Digest::sha256_of(&bytes);
        if found != *digest {
            return Err(Error::Damaged { digest: digest.clone(), found });
        }
        Ok(bytes)
    }

    /// Size and age of a blob.
    pub fn stat(&self, digest: &Digest) -> Result<BlobInfo> {
        let path = self.path(digest)?;
        let meta = fs::metadata(&path).map_err(|e| self.missing(digest, e, "reading"))?;
        let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(BlobInfo { digest: digest.clone(), size: meta.len(), modified })
    }

    /// Whether the blob is here.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_ok_and(|path| path.exists())
    }

    /// Whether the blob is here; if so, every live lease protects it from now on.
    pub fn touch(&self, digest: &Digest) -> bool {
        let mut leases = self.inner.leases.lock();
        let here = self.contains(digest);
        if here {
            leases.touch(digest);
        }
        here
    }

    /// All blobs, by digest.
    pub fn list(&self) -> Result<Vec<BlobInfo>> {
        let dir = &self.inner.blobs;
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(Error::io("listing", dir))? {
            let entry = entry.map_err(Error::io("listing", dir))?;
            let name = entry.file_name();
            let Ok(digest) = format!("sha256:{}", name.to_string_lossy()).parse::<Digest>() else { continue };
            match self.stat(&digest) {
                Ok(info) => found.push(info),
                // It went away while we looked.
                Err(Error::NotFound(_)) => {}
                Err(other) => return Err(other),
            }
        }
        found.sort_by(|a, b| a.digest.cmp(&b.digest));
        Ok(found)
    }

    /// Removes a blob, whatever leases say: the caller knows. Needs no free space.
    pub fn delete(&self, digest: &Digest) -> Result<()> {
        let path = self.path(digest)?;
        let _guard = self.inner.leases.lock();
        fs::remove_file(&path).map_err(|e| self.missing(digest, e, "removing"))
    }

    /// Reads a blob whole and compares its bytes with its name.
    pub fn verify(&self, digest: &Digest) -> Result<()> {
        let mut file = self.open_blob(digest)?;
        let path = self.path(digest)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0u8; 256 * 1024];
        loop {
            match file.read(&mut buffer).map_err(Error::io("reading", &path))? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        let found = hasher.finish();
        if found == *digest { Ok(()) } else { Err(Error::Damaged { digest: digest.clone(), found }) }
    }

    /// Begins, or goes on with, the ingest called `key`. One writer per key: a second one is told `Busy`.
    pub fn ingest(&self, key: &str) -> Result<Ingest> {
        let name = Digest::sha256_of(key.as_bytes());
        Ingest::open(self.clone(), self.inner.ingests.join(name.hex()), Some(key))
    }

    /// Begins an ingest that nobody will resume.
    pub fn ingest_nameless(&self) -> Result<Ingest> {
        let n = self.inner.nameless.fetch_add(1, Ordering::Relaxed);
        Ingest::open(self.clone(), self.inner.ingests.join(format!("tmp-{n}")), None)
    }

    /// Stores `bytes` as a blob, in the place of a damaged one.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::sha256_of(bytes);
        if self.touch(&digest) {
            let made_room = match self.verify(&digest) {
                Ok(()) => return Ok(digest),
                Err(Error::Damaged { .. }) => self.delete(&digest),
                Err(other) => Err(other),
            };
            match made_room {
                // Somebody else was faster.
                Ok(()) | Err(Error::NotFound(_)) => {}
                Err(other) => return Err(other),
            }
        }
        let mut ingest = self.ingest_nameless()?;
        ingest.write_all(bytes).map_err(Error::io("writing", &self.inner.ingests))?;
        ingest.commit(Some(&digest), Some(bytes.len() as u64))
    }

    /// Removes named ingests nobody has written to for `idle` and nobody writes to now; tells how many bytes came free.
    pub fn forget_ingests(&self, idle: Duration) -> Result<u64> {
        let dir = &self.inner.ingests;
        let mut freed = 0;
        for entry in fs::read_dir(dir).map_err(Error::io("listing", dir))?.flatten() {
            let path = entry.path();
            if self.writers().lock().unwrap_or_else(std::sync::PoisonError::into_inner).contains(&path) {
                continue;
            }
            let Ok(meta) = fs::metadata(path.join(crate::ingest::DATA)) else { continue };
            let age = meta.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            if age.is_some_and(|age| age >= idle) {
                fs::remove_dir_all(&path).map_err(Error::io("removing", &path))?;
                freed += meta.len();
            }
        }
        Ok(freed)
    }

    /// Takes a lease: what is committed or touched from now on is not collected while it lives.
    pub fn lease(&self) -> Lease {
        self.inner.leases.lease()
    }

    /// Removes every blob that is not reachable and that no lease protects.
    ///
    /// `reachable` is asked blob by blob and must tell what is so at that moment: whoever brought a blob in has it on record
    /// before the lease ends. It must not ask this store for leases or touch its blobs.
    pub fn collect(&self, reachable: impl Fn(&Digest) -> bool) -> Result<Collected> {
        let mut gone = Collected::default();
        for blob in self.list()? {
            self.collect_one(blob, &reachable, &mut gone)?;
        }
        Ok(gone)
    }

    /// [`ContentStore::collect`] for who knows which blobs may have come free: the others are not looked at.
    pub fn collect_among<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a Digest>,
        reachable: impl Fn(&Digest) -> bool,
    ) -> Result<Collected> {
        let mut gone = Collected::default();
        for digest in candidates {
            match self.stat(digest) {
                Ok(blob) => self.collect_one(blob, &reachable, &mut gone)?,
                Err(Error::NotFound(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(gone)
    }

    fn collect_one(
        &self,
        blob: BlobInfo,
        reachable: &impl Fn(&Digest) -> bool,
        gone: &mut Collected,
    ) -> Result<()> {
        let path = self.path(&blob.digest)?;
        let guard = self.inner.leases.lock();
        // In this order: a lease that ended a moment ago has left a record.
        if guard.holds(&blob.digest) || reachable(&blob.digest) {
            return Ok(());
        }
        match fs::remove_file(&path) {
            Ok(()) => {
                gone.bytes += blob.size;
                gone.blobs.push(blob.digest);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::io("removing", &path)(e)),
        }
    }

    pub(crate) fn writers(&self) -> &Writers {
        &self.inner.writers
    }

    /// The last step of an ingest: `from` (open as `file`) becomes the blob `digest`.
    pub(crate) fn admit(&self, digest: &Digest, file: &File, from: &Path) -> Result<()> {
        if self.touch(digest) {
            return Ok(());
        }
        let to = self.path(digest)?;
        file.set_permissions(fs::Permissions::from_mode(0o444)).map_err(Error::io("sealing", from))?;
        file.sync_all().map_err(Error::io("syncing", from))?;
        {
            let mut leases = self.inner.leases.lock();
            fs::rename(from, &to).map_err(Error::io("renaming to", &to))?;
            leases.touch(digest);
        }
        let dir = File::open(&self.inner.blobs).map_err(Error::io("opening", &self.inner.blobs))?;
        dir.sync_all().map_err(Error::io("syncing", &self.inner.blobs))
    }

    fn missing(&self, digest: &Digest, error: io::Error, what: &'static str) -> Error {
        match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound(digest.clone()),
            _ => Error::io(what, &self.inner.blobs.join(digest.hex()))(error),
        }
    }
}
