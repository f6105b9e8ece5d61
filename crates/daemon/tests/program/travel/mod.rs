//! Images travel: Docker's client and skopeo, our engines, our registry.
//!
//! Engines here share the machine's network and make none of their own; what is between an engine and the registry, where
//! it matters, is a [`line::Line`] that counts, slows and cuts.

mod access;
mod book;
mod elsewhere;
mod line;
mod logins;
mod peers;
mod proxies;
pub mod registry;
mod resume;
mod ssh;
mod trips;
