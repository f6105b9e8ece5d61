//! Layered file systems: overlay and native copies behind one contract.
//!
//! What it is: a tree of snapshots. A *committed* snapshot is read-only and has a *name* (an image layer: its chain id);
//! an *active* one is writable and has a *key* (a container's root, a layer being unpacked); a *view* is a read-only
//! one with a key. Every snapshot but the lowest has a committed parent.
//!
//! What it is not: it mounts nothing in the host's mount namespace. [`Rootfs`] says what the runtime has to mount inside
//! the container's own namespace, so nothing is left behind after a crash. [`RootView`] shows a stopped container's root to
//! us the same way: through a descriptor. It knows no images and no containers.
//!
//! Start reading at [`Snapshotter`], the trait and its story; `shelf.rs` draws what is on disk.

mod changes;
mod copy;
mod error;
mod measure;
mod mount;
mod native;
mod open;
mod overlay;
mod row;
mod shelf;
mod snapshotter;
mod sync;
#[cfg(feature = "testsuite")]
pub mod testsuite;
mod view;

pub use error::{Error, Result};
pub use mount::Access;
pub use native::Native;
pub use open::{best, open};
pub use overlay::Overlay;
pub use snapshotter::{Change, ChangeKind, Info, Kind, PrepareOptions, Rootfs, Snapshotter, Usage};
pub use view::{PathStat, RootView, UntarOptions};
