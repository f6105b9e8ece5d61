use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A tree of snapshots.
///
/// The life of an image layer: [`prepare`](Snapshotter::prepare) a key on the parent layer's name, write into
/// [`layer_dir`](Snapshotter::layer_dir), [`commit`](Snapshotter::commit) it under the layer's chain id. The life of a container's root:
/// `prepare` a key on the image's top layer, hand the [`Rootfs`] to the runtime at every start, [`remove`](Snapshotter::remove)
/// it with the container.
///
/// Every deed is atomic over a crash: a snapshot is there whole, or it is not there and its files are removed at the next
/// open. Methods may block on the disk.
pub trait Snapshotter: fmt::Debug + Send + Sync {
    /// The driver's name as `docker info` prints it: `overlay2`'s heir is `overlay`.
    fn driver(&self) -> &'static str;

    /// Lines for `docker info` below the driver's name, in order.
    fn status(&self) -> Vec<(String, String)>;

    /// Makes a writable snapshot called `key` on the committed `parent` (on nothing if `None`).
    fn prepare(&self, key: &str, parent: Option<&str>) -> Result<Rootfs> {
        self.prepare_with(key, parent, &PrepareOptions::default())
    }

    /// [`prepare`](Snapshotter::prepare) with options.
    fn prepare_with(&self, key: &str, parent: Option<&str>, options: &PrepareOptions) -> Result<Rootfs>;

    /// Makes a read-only snapshot called `key` that shows `parent`.
    fn view(&self, key: &str, parent: Option<&str>) -> Result<Rootfs>;

    /// Turns the active snapshot `key` into the committed snapshot `name`. A large one's files go to the disk in the
    /// background; should the power fail before, it is gone at the next open and is to be made again.
    /// The key is free again. A `name` that exists is [`Error::Exists`] and leaves `key` as it was.
    fn commit(&self, name: &str, key: &str) -> Result<()>;

    /// Whether a layer can be unpacked before its parent is there, to be put on it by [`commit_on`](Snapshotter::commit_on).
    fn layers_apart(&self) -> bool {
        false
    }

    /// [`commit`](Snapshotter::commit) of a `key` that was prepared on nothing, onto `parent`. Only where
    /// [`layers_apart`](Snapshotter::layers_apart).
    fn commit_on(&self, name: &str, key: &str, parent: Option<&str>) -> Result<()>;

    /// Removes a snapshot by name or key. One that has children is refused.
    fn remove(&self, name: &str) -> Result<()>;

    /// What is known of a snapshot without touching its files.
    fn stat(&self, name: &str) -> Result<Info>;

    /// All snapshots, ordered by name.
    fn walk(&self) -> Result<Vec<Info>>;

    /// What the snapshot itself holds, its parents not counted: `docker ps -s`. A committed snapshot answers from its record.
    fn usage(&self, name: &str) -> Result<Usage>;

    /// What the runtime mounts for an existing key (or, read-only, a name).
    fn rootfs(&self, key: &str) -> Result<Rootfs>;

    /// The directory that holds the snapshot's own files: with overlay the layer alone, natively the whole tree.
    /// Unpacking writes here.
    fn layer_dir(&self, key: &str) -> Result<PathBuf>;

    /// The directories of the committed ancestors of `name`, nearest first: where an overlay's lower files are found.
    /// Empty where [`layer_dir`](Snapshotter::layer_dir) already holds the whole tree.
    fn lower_dirs(&self, name: Option<&str>) -> Result<Vec<PathBuf>>;

    /// How whiteouts are to be written into [`layer_dir`](Snapshotter::layer_dir).
    fn whiteouts(&self) -> gantry_archive::Whiteouts;

    /// What differs between the snapshot and its parent, ordered by path: `docker diff`.
    fn changes(&self, key: &str) -> Result<Vec<Change>>;

    /// Writes the snapshot's difference to its parent as a layer: a tar stream with OCI whiteouts.
    fn diff_tar(&self, key: &str, out: &mut dyn Write) -> Result<()>;
}

/// What to mount as a container's root. The runtime does it inside the container's mount namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Rootfs {
    /// An overlayfs mount.
    Overlay {
        /// Read-only layers, the top one first. At least one; at least two when there is no upper.
        lower: Vec<PathBuf>,
        /// The writable layer; none for a read-only view.
        upper: Option<PathBuf>,
        /// The overlay's work directory, beside the upper.
        work: Option<PathBuf>,
        /// Further mount options, each `key=value` or a flag.
        options: Vec<String>,
    },
    /// A directory to bind.
    Dir {
        /// The directory.
        path: PathBuf,
        /// Whether to bind it read-only.
        read_only: bool,
    },
}

/// What a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Writable, known by a key.
    Active,
    /// Read-only, known by a key.
    View,
    /// Read-only, known by a name; may be a parent.
    Committed,
}

/// A snapshot's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its name (committed) or key (active, view).
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The committed snapshot it stands on.
    pub parent: Option<String>,
    /// When it was prepared or committed.
    pub created: SystemTime,
}

/// Space a snapshot takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Apparent size of its files in bytes, hard links counted once.
    pub bytes: u64,
    /// Files, directories and all else.
    pub inodes: u64,
}

/// How to make a writable snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrepareOptions {
    /// At most this many bytes may be written to it (`--storage-opt size=`). [`Error::NoQuota`] where the file system cannot.
    pub size: Option<u64>,
}

/// One line of `docker diff`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Absolute path inside the root.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to a path. The numbers are the Engine API's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// `C`: it, or (a directory) something in it, changed.
    Modified = 0,
    /// `A`: it is new.
    Added = 1,
    /// `D`: it is gone.
    Deleted = 2,
}

impl Rootfs {
    /// Whether a container could write to it.
    pub fn writable(&self) -> bool {
        match self {
            Rootfs::Overlay { upper, .. } => upper.is_some(),
            Rootfs::Dir { read_only, .. } => !read_only,
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        std::io::Error::other(error)
    }
}
