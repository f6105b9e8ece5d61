//! Volumes: folders with a name and a life of their own, at `<data-root>/volumes/<name>/_data`.
//!
//! What it is: making, finding, mounting (the `local` driver's `type`, `o`, `device`), filling from an image, counting
//! who uses what, removing. What it is not: the parser of `-v` (the client's and server's) or the decision what a
//! container mounts (the engine's).
//!
//! Start with [`Volumes`]. Its life: `create` (record first, then folder) - `hold` by every container that names it -
//! `mount` while one runs - `remove` (folder renamed away, record removed, then the bytes).
//!
//! All of it is synchronous; large trees are copied and removed here, so async callers use a blocking thread.

mod copy;
mod error;
mod fill;
mod filter;
mod local;
mod usage;
mod volume;
mod volumes;

pub use error::VolumeError;
pub use filter::VolumeFilter;
pub use usage::tree_bytes;
pub use volume::{ANONYMOUS_LABEL, Volume, VolumeRequest};
pub use volumes::{Pruned, Volumes};

pub use copy::copy_tree;
