//! Blobs by digest: ingest, commit, read, collect.
//!
//! What it is: the one place where immutable bytes live, each file named by the sha256 of what is in it.
//! What it is not: it knows no manifests, layers or images, and it holds no names but digests. Who needs a
//! blob says so in a record of its own, and tells [`ContentStore::collect`] what is reachable.
//!
//! On disk, below the root given to [`ContentStore::open`]:
//!
//! ```text
//! blobs/sha256/<64 hex>     a whole blob; it appears by rename and is never written again
//! ingest/<64 hex>/data      a blob under way, kept over a restart; the directory is sha256 of the key
//! ingest/<64 hex>/key       the key in plain, for people
//! ingest/tmp-<n>/data       a nameless blob under way, thrown away at the next open
//! ```
//!
//! Crash safety: bytes are written beside, the file is fsynced, renamed, and the directory is fsynced. A blob that
//! can be seen is whole. Deleting needs no free space.
//!
//! Start reading at [`ContentStore`], then `ingest.rs` (how a blob comes in) and `lease.rs` (what collection spares).

mod error;
mod ingest;
mod lease;
mod store;

pub use error::{Error, Result};
pub use ingest::Ingest;
pub use lease::Lease;
pub use store::{BlobInfo, Collected, ContentStore};
