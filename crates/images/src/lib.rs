//! Images: references, import, load, save, commit, remove, history.
//!
//! What it is: the records that turn blobs (`gantry-content`) and snapshots (`gantry-snapshots`) into images with names.
//! An image's identity is the digest of its config document; its layers are named by chain id in the snapshotter and
//! by digest in the content store.
//!
//! What it is not: it knows no containers (who uses an image is asked through a callback), no registry, no Dockerfile.
//!
//! What is kept of a layer: its blob as it came (compressed or not) and its unpacked snapshot. Push and save copy
//! the blob, so they are cheap and digests are stable; the price is the blob's size on disk beside the unpacked layer.
//!
//! In the metadata store, owner `images`:
//!
//! ```text
//! images.records      <image id>        -> Record: layers' blobs, parent, manifest, last-tagged time
//! images.references   <full reference>  -> image id; tags and digests alike
//! ```
//!
//! Start reading at [`ImageStore`]; each verb is a file.

mod ahead;
mod catalog;
mod change;
mod commit;
mod compress;
mod config;
mod container;
mod create;
mod departing;
mod error;
mod filter;
mod history;
mod image;
mod import;
mod layer;
mod layout;
mod lease;
mod list;
mod load;
mod prune;
mod record;
mod remove;
mod resolve;
mod save;
mod store;
mod stream;
mod tag;
mod travel;

pub use ahead::{Arrived, Arriving};
pub use change::{ChangeError, changes_of, command_line, env_of, parse_changes};
pub use commit::CommitRequest;
pub use compress::LEVEL as GZIP_LEVEL;
pub use config::{ConfigChange, Healthcheck, HistoryEntry, ImageConfig, RootFs, RunConfig};
pub use create::CreateOptions;
pub use departing::Departing;
pub use error::{Error, Result};
pub use filter::{Filters, Labels};
pub use history::HistoryItem;
pub use image::Image;
pub use import::ImportOptions;
pub use layout::LayoutParts;
pub use lease::Lease;
pub use list::{ListOptions, Summary};
pub use load::{LoadEvent, LoadOptions, Loaded};
pub use prune::{PruneOptions, Pruned};
pub use record::{Layer, Record};
pub use remove::{RemoveOptions, Removed, Use};
pub use save::{ArchivePart, Whole};
pub use store::ImageStore;
pub use tag::Tagged;
