//! What the store asks of the place where bytes lie: files, or somebody's object store.
//!
//! Paths are relative, made of parts that [`super::layout`] has checked. All calls block; the server makes them
//! on its blocking threads.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Size and age of a stored object.
#[derive(Debug, Clone, Copy)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Last written.
    pub modified: SystemTime,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without its directory.
    pub name: String,
    /// Whether names lie below it.
    pub directory: bool,
}

/// An opened object.
pub enum Source {
    /// A local file: it can go to a socket without passing through this program.
    File(File),
    /// The bytes that were asked for, as they come from elsewhere.
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

/// A place for objects.
pub trait Driver: Send + Sync + 'static {
    /// A whole small object. `NotFound` when there is none.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
    /// Writes a small object whole or not at all; durable when this returns.
    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Writes a small object whose name says all: after a crash it may be there without its bytes.
    fn mark(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.write(path, bytes)
    }
    /// Size and age. `NotFound` when there is none.
    fn stat(&self, path: &str) -> io::Result<Stat>;
    /// The names directly below; none when the directory is missing. No order.
    fn list(&self, directory: &str) -> io::Result<Vec<Entry>>;
    /// Removes an object or everything below a directory; a missing one is removed already.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Opens `length` bytes of an object from `offset`; a file may be longer.
    fn open(&self, path: &str, offset: u64, length: u64) -> io::Result<Source>;
    /// Takes over a finished local file (already synced) as the object `path`; durable when this returns. The file is
    /// moved where that is possible, and left where it is where not.
    fn adopt(&self, staged: &Path, path: &str) -> io::Result<()>;
    /// Whether `adopt` is a copy over a network and may take minutes.
    fn far(&self) -> bool {
        false
    }
    /// A URL by which a client may get the object itself for a while; `None` where there is no such thing.
    fn url(&self, _path: &str, _valid: Duration) -> io::Result<Option<String>> {
        Ok(None)
    }
    /// Whether the place answers, for the health check.
    fn check(&self) -> io::Result<()>;
}
