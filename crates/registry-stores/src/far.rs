//! What can be done with a far place. All calls are for blocking threads of a tokio runtime, as the registry's own.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path as File;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::upload;

/// Pieces in flight between the far store and whoever reads.
const DEPTH: usize = 4;

/// Size and age of an object.
#[derive(Debug, Clone, Copy)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Last written.
    pub modified: SystemTime,
}

/// One name below a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name alone.
    pub name: String,
    /// Whether names lie below it.
    pub directory: bool,
}

/// A bucket or container, and the key below which everything of ours lies. Clones share it.
#[derive(Clone)]
pub struct Far {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Signs URLs, where the credentials allow it.
    pub(crate) signer: Option<Arc<dyn Signer>>,
    pub(crate) root: String,
    /// Bytes of one part of an upload.
    pub(crate) part: u64,
    /// Most parts of one upload.
    pub(crate) parts_max: u64,
    pub(crate) runtime: Handle,
    /// Where this is, for messages.
    pub(crate) place: String,
}

impl Display for Far {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place)
    }
}

impl Far {
    fn key(&self, path: &str) -> io::Result<Path> {
        let full = format!("{}/{path}", self.root);
        Path::parse(full.trim_matches('/')).map_err(|err| io::Error::new(ErrorKind::InvalidInput, err))
    }

    /// A whole small object. `NotFound` when there is none.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let key = self.key(path)?;
        let read = async { self.store.get(&key).await?.bytes().await };
        Ok(self.runtime.block_on(read).map_err(told)?.into())
    }

    /// Writes an object whole or not at all.
    pub fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let key = self.key(path)?;
        let written = self.store.put(&key, Bytes::copy_from_slice(bytes).into());
        self.runtime.block_on(written).map(drop).map_err(told)
    }

    /// Size and age. `NotFound` when there is none.
    pub fn stat(&self, path: &str) -> io::Result<Stat> {
        let found = self.runtime.block_on(self.store.head(&self.key(path)?)).map_err(told)?;
        Ok(Stat { size: found.size, modified: found.last_modified.into() })
    }

    /// The names directly below; none when nothing lies there.
    pub fn list(&self, directory: &str) -> io::Result<Vec<Entry>> {
        let key = self.key(directory)?;
        let found = self.runtime.block_on(self.store.list_with_delimiter(Some(&key))).map_err(told)?;
        let entry =
            |path: &Path, directory| path.filename().map(|name| Entry { name: name.to_owned(), directory });
        let directories = found.common_prefixes.iter().filter_map(|path| entry(path, true));
        let objects = found.objects.iter().filter_map(|object| entry(&object.location, false));
        Ok(directories.chain(objects).collect())
    }

    /// Removes an object and everything below it; what is missing is removed already.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let key = self.key(path)?;
        self.runtime.block_on(async {
            match self.store.delete(&key).await {
                Err(object_store::Error::NotFound { .. }) | Ok(()) => {}
                Err(err) => return Err(told(err)),
            }
            let below = self.store.list(Some(&key)).map_ok(|object| object.location).boxed();
            let mut removed = self.store.delete_stream(below);
            while let Some(one) = removed.next().await {
                match one {
                    Err(object_store::Error::NotFound { .. }) | Ok(_) => {}
                    Err(err) => return Err(told(err)),
                }
            }
            Ok(())
        })
    }

    /// Opens `length` bytes from `offset`; they come as the far place sends them.
    pub fn open(
        &self,
        path: &str,
        offset: u64,
        length: u64,
    ) -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
        let range = (length > 0).then_some(GetRange::Bounded(offset..offset + length));
        let options = GetOptions { range, ..GetOptions::default() };
        let key = self.key(path)?;
        let opened = self.runtime.block_on(self.store.get_opts(&key, options)).map_err(told)?;
        let (to, from) = mpsc::channel(DEPTH);
        self.runtime.spawn(async move {
            let mut stream = opened.into_stream();
            while let Some(piece) = stream.next().await {
                // Whoever read is gone: so is this.
                if to.send(piece.map_err(told)).await.is_err() {
                    return;
                }
            }
        });
        Ok(from)
    }

    /// Copies a local file to `path`: it is there whole or not at all.
    pub fn upload(&self, file: &File, path: &str) -> io::Result<()> {
        let key = self.key(path)?;
        self.runtime.block_on(upload::upload(&self.store, file, &key, self.part, self.parts_max))
    }

    /// A URL by which anybody may get the object for a while; `None` when these credentials cannot sign.
    pub fn url(&self, path: &str, valid: Duration) -> io::Result<Option<String>> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let signed = self.runtime.block_on(signer.signed_url(http::Method::GET, &self.key(path)?, valid));
        Ok(Some(signed.map_err(told)?.into()))
    }

    /// Whether the place answers: an object that need not be there is asked for.
    pub fn check(&self) -> io::Result<()> {
        match self.stat(".gantry-check") {
            Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
            _ => Ok(()),
        }
    }
}

/// The library's failure as `std::io`'s, with the causes in one line.
pub(crate) fn told(err: object_store::Error) -> io::Error {
    use object_store::Error;
    let kind = match &err {
        Error::NotFound { .. } => ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => ErrorKind::PermissionDenied,
        Error::InvalidPath { .. } => ErrorKind::InvalidInput,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, err)
}
