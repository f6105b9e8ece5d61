//! BuildKit's wire: gRPC over any byte stream, its messages, and the file transfer of its sessions.
//!
//! Both roles are here, side by side. An engine serves `Control` and `LLBBridge` ([`grpc::server`]) and calls the
//! services that a client exposes on its session ([`session::Caller`]); a client does the reverse with the same pieces.
//! Nothing here knows what a build is.
//!
//! Start reading at [`grpc`], then [`session`]. The messages in [`proto`] are written by hand from BuildKit's `.proto`
//! files: fields that nobody reads are left out, protobuf skips them.

pub mod content;
pub mod fsutil;
pub mod grpc;
pub mod proto;
pub mod session;
