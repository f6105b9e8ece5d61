//! Objects at a provider: S3, Google Cloud Storage, Azure, Swift. The keys are the paths, below the configured root.
//!
//! Uploads under way stay on this machine until they are whole and verified; then they travel at once.

use std::io;
use std::path::Path;
use std::time::Duration;

use gantry_registry_stores::Far;

use super::driver::{Driver, Entry, Source, Stat};

impl Driver for Far {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        Far::read(self, path)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        Far::write(self, path, bytes)
    }

    fn stat(&self, path: &str) -> io::Result<Stat> {
        let found = Far::stat(self, path)?;
        Ok(Stat { size: found.size, modified: found.modified })
    }

    fn list(&self, directory: &str) -> io::Result<Vec<Entry>> {
        let found = Far::list(self, directory)?;
        Ok(found.into_iter().map(|entry| Entry { name: entry.name, directory: entry.directory }).collect())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        Far::remove(self, path)
    }

    fn open(&self, path: &str, offset: u64, length: u64) -> io::Result<Source> {
        Far::open(self, path, offset, length).map(Source::Stream)
    }

    fn adopt(&self, staged: &Path, path: &str) -> io::Result<()> {
        self.upload(staged, path)
    }

    fn far(&self) -> bool {
        true
    }

    fn url(&self, path: &str, valid: Duration) -> io::Result<Option<String>> {
        Far::url(self, path, valid)
    }

    fn check(&self) -> io::Result<()> {
        Far::check(self)
    }
}
