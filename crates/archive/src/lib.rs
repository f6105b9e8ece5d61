//! Tar as containers need it: ustar, PAX and GNU; sparse files, xattrs, nodes, nanoseconds; extraction by descriptor.
//!
//! What it is: a streaming reader and writer of tar, an extractor that can never leave its root directory, a packer
//! that walks a directory by descriptors, and the compressions image archives come in.
//!
//! What it is not: it knows no image, no layer order and no snapshot. Whiteouts it knows only as names.
//!
//! Start reading at [`Entry`] (what one member is).

mod entry;
mod error;
mod whiteout;

pub use entry::{Entry, Kind, Time};
pub use error::{Error, Result};
pub use whiteout::Whiteouts;
