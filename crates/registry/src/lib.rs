//! The registry's server: OCI distribution 1.1 with Docker's habits, for one machine and its storage.
//!
//! It is not the client (`gantry-distribution`), it knows no engine, and it never unpacks a layer: bytes come in,
//! are verified, and go out as they were.
//!
//! Start reading at [`server`] (the way of a request), then [`store`] (what lies on disk and what must never be), then
//! [`run`] (how it is put together from a configuration).

mod access;
mod api;
pub mod config;
mod events;
mod hash;
mod http;
mod manifest;
mod metrics;
mod name;
mod pattern;
mod proxy;
mod random;
mod refusal;
mod run;
mod server;
mod store;

pub use run::{Arguments, RunError, Running, run, start};
pub use store::driver;
