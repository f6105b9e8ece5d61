//! gRPC over HTTP/2, without TLS and without compression: what BuildKit speaks on a connection that was taken over.
//!
//! Source: grpc/grpc `doc/PROTOCOL-HTTP2.md`.

pub mod client;
mod frame;
pub mod server;
mod status;

pub use frame::{Inbound, Outbound};
pub use status::{Any, Code, Status};

/// The largest message taken in. BuildKit's own servers and clients take 16 MiB.
pub const MESSAGE_BYTES: usize = 16 << 20;

/// Bytes of one stream that may be under way unread: files travel in them.
const STREAM_WINDOW: u32 = 1 << 20;

/// Bytes of all streams of a connection that may be under way unread.
const CONNECTION_WINDOW: u32 = 8 << 20;
