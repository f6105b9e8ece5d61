//! The journal of what happened: Docker's events, kept on disk, replayed and followed.
//!
//! What it is: an append-only file of [`Event`]s with a length and a checksum each, bounded by rotation, and a bounded
//! queue per follower. It survives the engine's death; what a power failure cuts off is noticed and left out.
//! What it is not: the truth about any object. That is the store's.
//!
//! Start with [`Journal::publish`] and [`Journal::subscribe`].
//!
//! On disk: `<dir>/events.log` and, once that is full, `<dir>/events.log.1`; each a row of
//! `[length of the JSON, 4 bytes LE][crc32 of the JSON, 4 bytes LE][JSON]`.

mod event;
mod file;
mod journal;
mod query;

pub use event::{Actor, Event, Kind};
pub use journal::{Journal, Subscription};
pub use query::{Filters, Query};
