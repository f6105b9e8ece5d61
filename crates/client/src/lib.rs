//! The Engine API's client.
//!
//! What it is: a thin road to an engine (ours or Docker's) over a Unix socket, TCP, TLS or ssh. Answers stay raw
//! JSON ([`serde_json::Value`]), because what a person formats with `--format '{{json .}}'` is what the engine said.
//! What it is not: a model of containers. It imports nothing of the engine and keeps no state but its connections.
//!
//! Start reading at [`Client`] (`client.rs`), then [`Call`] (`call.rs`: one request), `hijack.rs` (attach and exec)
//! and the files named for the API's nouns (`container.rs`, `image.rs`, ...): one method per endpoint.

mod body;
mod call;
mod client;
mod container;
mod endpoint;
mod error;
mod frames;
mod gate;
mod hijack;
mod image;
mod network;
mod swarm;
mod system;
mod tls;
mod transport;
mod volume;

pub use body::{Body, ByteStream, JsonStream};
pub use call::{Answer, Call, Query};
pub use client::{Client, NEWEST_API, Options, Ping};
pub use endpoint::{Endpoint, EndpointError, TlsFiles};
pub use error::ClientError;
pub use frames::{Frame, Frames, StreamKind};
pub use hijack::{Hijacked, HijackedReader, HijackedWriter};
pub use transport::{Wire, connect as connect_raw};
