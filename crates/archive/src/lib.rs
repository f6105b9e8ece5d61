//! Tar as containers need it: ustar, PAX and GNU; sparse files, xattrs, nodes, nanoseconds; extraction by descriptor.
//!
//! What it is: a streaming reader and writer of tar, an extractor that can never leave its root directory, a packer
//! that walks a directory by descriptors, and the compressions image archives come in.
//!
//! What it is not: it knows no image, no layer order and no snapshot. Whiteouts it knows only as names.
//!
//! Start reading at [`Entry`] (what one member is), then `read.rs`, `write.rs`, `extract.rs` and `pack.rs`. Every limit on
//! hostile input is a constant in `read.rs` and `pax.rs`; why nothing escapes stands at [`Root`].

mod compress;
mod entry;
mod error;
mod extract;
mod header;
mod pack;
mod packed;
mod pax;
mod read;
mod room;
mod root;
mod settle;
mod whiteout;
mod write;
pub mod xattr;

pub use compress::{Compression, Decoder};
pub use entry::{Entry, Kind, Time};
pub use error::{Error, Result};
pub use extract::{ExtractOptions, Extracted, IdRange, Owner, extract};
pub use pack::{PackOptions, Skip, pack};
pub use packed::{PackedWriter, Packing};
pub use read::Reader;
pub use room::Room;
pub use root::Root;
pub use settle::{find_below, settle};
pub use whiteout::{Whiteouts, is_overlay_whiteout};
pub use write::Writer;
