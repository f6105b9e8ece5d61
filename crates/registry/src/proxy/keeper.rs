//! Takes a blob from upstream into a repository, while others follow it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use gantry_distribution::sink::{Blobs, Ingest};
use gantry_names::Digest;
use tokio::sync::watch;

use super::PIECE;
use super::coming::State;
use crate::hash::Hash;
use crate::name::RepositoryName;
use crate::store::Store;

/// Takes a blob from upstream into a repository.
pub(super) struct Keeper {
    pub store: Arc<Store>,
    pub name: RepositoryName,
    pub path: PathBuf,
    pub tell: watch::Sender<State>,
}

struct Part {
    store: Arc<Store>,
    name: RepositoryName,
    path: PathBuf,
    tell: watch::Sender<State>,
    file: File,
    hash: Hash,
    size: u64,
}

fn unused() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a cache only takes blobs in")
}

impl Blobs for Keeper {
    fn has(&self, digest: &Digest, _: u64) -> io::Result<bool> {
        Ok(self.store.blob(&self.name, digest)?.is_some())
    }

    fn ingest(&self, digest: &Digest, _: u64) -> io::Result<Box<dyn Ingest>> {
        let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        let mut hash = Hash::like(digest);
        let mut size = 0;
        let mut earlier = File::open(&self.path)?;
        let mut buffer = vec![0; PIECE];
        loop {
            match earlier.read(&mut buffer)? {
                0 => break,
                n => {
                    hash.update(&buffer[..n]);
                    size += n as u64;
                }
            }
        }
        self.tell.send_replace(State::Here(size));
        Ok(Box::new(Part {
            store: Arc::clone(&self.store),
            name: self.name.clone(),
            path: self.path.clone(),
            tell: self.tell.clone(),
            file,
            hash,
            size,
        }))
    }

    fn read(&self, _: &Digest, _: u64) -> io::Result<Vec<u8>> {
        Err(unused())
    }

    fn open(&self, _: &Digest, _: u64) -> io::Result<Box<dyn Read + Send>> {
        Err(unused())
    }
}

impl Ingest for Part {
    fn offset(&self) -> u64 {
        self.size
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.tell.send_replace(State::Here(self.size));
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        // Those who follow keep the old file; what comes now is another one.
        fs::remove_file(&self.path)?;
        self.file = OpenOptions::new().append(true).create_new(true).open(&self.path)?;
        self.hash = Hash::named(self.hash.algorithm()).ok_or_else(unused)?;
        self.size = 0;
        Ok(())
    }

    fn commit(self: Box<Self>, digest: &Digest, size: u64) -> io::Result<()> {
        if self.size != size || self.hash.finish() != *digest {
            fs::remove_file(&self.path)?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.file.sync_data()?;
        self.store.adopt_blob(&self.name, digest, &self.path)
    }
}
