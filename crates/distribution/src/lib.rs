//! The registry client: pull, push, search.
pub mod http;
mod resolve;
