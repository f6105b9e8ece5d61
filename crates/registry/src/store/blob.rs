//! Blobs of a repository: look, open, link, unlink, measure.

use std::io;
use std::path::Path;
use std::time::Duration;

use gantry_names::Digest;

use super::cache::Link;
use super::driver::Source;
use super::{Store, layout, lock};
use crate::name::RepositoryName;

/// A client begins to read within this time; Docker's registry gives as much.
const URL_VALID: Duration = Duration::from_secs(20 * 60);

impl Store {
    /// A blob's size if this repository holds it and it was looked at lately.
    pub fn cached_blob(&self, name: &RepositoryName, digest: &Digest) -> Option<u64> {
        match self.cache.link(&layout::layer(name, digest))? {
            Link::Blob(size) => Some(size),
            _ => None,
        }
    }

    /// A blob's size if this repository holds it. Its manifests count as blobs too.
    pub fn blob(&self, name: &RepositoryName, digest: &Digest) -> io::Result<Option<u64>> {
        if let Some(size) = self.cached_blob(name, digest) {
            return Ok(Some(size));
        }
        let began = self.cache.begin();
        let path = layout::layer(name, digest);
        let linked = match Self::maybe(self.driver.read(&format!("{path}/link")))? {
            Some(_) => true,
            None => {
                Self::maybe(self.driver.stat(&format!("{}/link", layout::revision(name, digest))))?.is_some()
            }
        };
        if !linked {
            return Ok(None);
        }
        let size = Self::maybe(self.driver.stat(&layout::blob(digest)))?.map(|stat| stat.size);
        if let Some(size) = size {
            self.cache.keep_link(began, path, Link::Blob(size));
        }
        Ok(size)
    }

    /// Opens a blob that [`Store::blob`] found; `None` when it went meanwhile.
    pub fn open_blob(&self, digest: &Digest, offset: u64, length: u64) -> io::Result<Option<Source>> {
        Self::maybe(self.driver.open(&layout::blob(digest), offset, length))
    }

    /// Where a client may get the blob itself, when the storage is far and gives such URLs.
    pub fn blob_url(&self, digest: &Digest) -> io::Result<Option<String>> {
        self.driver.url(&layout::blob(digest), URL_VALID)
    }

    /// Whether blobs lie elsewhere.
    pub fn is_far(&self) -> bool {
        self.driver.far()
    }

    /// Makes a staged, verified and synced file a blob of this repository. The file is gone afterwards.
    pub fn adopt_blob(&self, name: &RepositoryName, digest: &Digest, staged: &Path) -> io::Result<()> {
        let path = layout::blob(digest);
        self.touch(digest);
        if self.driver.far() {
            // Not under the gate: a collection would wait for the network, and everybody for the collection.
            self.bring_blob(staged, &path)?;
        }
        let _gate = self.linking();
        self.touch(digest);
        self.bring_blob(staged, &path)?;
        self.link_blob(name, digest)?;
        match std::fs::remove_file(staged) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
            _ => Ok(()),
        }
    }

    fn bring_blob(&self, staged: &Path, path: &str) -> io::Result<()> {
        match Self::maybe(self.driver.stat(path))? {
            Some(_) => Ok(()),
            None => self.driver.adopt(staged, path),
        }
    }

    /// Writes a blob nobody is linked to yet. The caller holds the gate.
    pub(super) fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        self.touch(digest);
        let path = layout::blob(digest);
        match Self::maybe(self.driver.stat(&path))? {
            Some(stat) if stat.size == bytes.len() as u64 => Ok(()),
            _ => self.driver.write(&path, bytes),
        }
    }

    fn link_blob(&self, name: &RepositoryName, digest: &Digest) -> io::Result<()> {
        let link = format!("{}/link", layout::layer(name, digest));
        let fresh = Self::maybe(self.driver.stat(&link))?.is_none();
        if fresh {
            self.driver.mark(&link, digest.as_str().as_bytes())?;
            self.count(name, digest)?;
        }
        self.cache.forget_link(&layout::layer(name, digest));
        self.remember(name);
        Ok(())
    }

    /// Links a blob that another repository holds. `from` of `None` means any: the caller has checked that
    /// whoever asks may read everything.
    pub fn mount_blob(
        &self,
        from: Option<&RepositoryName>,
        to: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<bool> {
        let _gate = self.linking();
        self.touch(digest);
        let here = match from {
            Some(from) => self.blob(from, digest)?.is_some(),
            None => Self::maybe(self.driver.stat(&layout::blob(digest)))?.is_some(),
        };
        if here {
            self.link_blob(to, digest)?;
        }
        Ok(here)
    }

    /// Takes a blob from a repository; its bytes stay until nobody holds them and the collector comes.
    pub fn unlink_blob(&self, name: &RepositoryName, digest: &Digest) -> io::Result<bool> {
        let _gate = self.removing();
        self.take_blob(name, digest)
    }

    /// The same; the caller holds the gate: a manifest that is being put may need it.
    pub(super) fn take_blob(&self, name: &RepositoryName, digest: &Digest) -> io::Result<bool> {
        let path = layout::layer(name, digest);
        let size = match Self::maybe(self.driver.stat(&format!("{path}/link")))? {
            Some(_) => self.blob(name, digest)?.unwrap_or(0),
            None => return Ok(false),
        };
        self.driver.remove(&path)?;
        self.cache.forget_link(&path);
        if let Some(used) = lock(&self.usage).get_mut(name) {
            *used = used.saturating_sub(size);
        }
        Ok(true)
    }

    fn count(&self, name: &RepositoryName, digest: &Digest) -> io::Result<()> {
        let counted = lock(&self.usage).contains_key(name);
        if counted {
            let size = self.driver.stat(&layout::blob(digest))?.size;
            if let Some(used) = lock(&self.usage).get_mut(name) {
                *used += size;
            }
        }
        Ok(())
    }

    /// Bytes of all blobs a repository holds. The first call reads every link, later ones remember.
    pub fn usage(&self, name: &RepositoryName) -> io::Result<u64> {
        if let Some(used) = lock(&self.usage).get(name) {
            return Ok(*used);
        }
        // Under the gate's exclusive side nobody links while we add up.
        let _gate = self.removing();
        let mut used = 0;
        for digest in self.layer_links(name)? {
            used += Self::maybe(self.driver.stat(&layout::blob(&digest)))?.map_or(0, |stat| stat.size);
        }
        lock(&self.usage).insert(name.clone(), used);
        Ok(used)
    }

    /// All blobs linked to a repository.
    pub(super) fn layer_links(&self, name: &RepositoryName) -> io::Result<Vec<Digest>> {
        self.digests_below(&format!("{}/_layers", layout::repository(name)))
    }

    /// The digests named by `<directory>/<algorithm>/<hex>`.
    pub(super) fn digests_below(&self, directory: &str) -> io::Result<Vec<Digest>> {
        let mut found = Vec::new();
        for algorithm in self.driver.list(directory)? {
            for hex in self.driver.list(&format!("{directory}/{}", algorithm.name))? {
                found.extend(Digest::parse(&format!("{}:{}", algorithm.name, hex.name)).ok());
            }
        }
        Ok(found)
    }
}
