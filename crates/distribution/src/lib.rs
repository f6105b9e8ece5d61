//! The registry client: pull, push, tags, search, login, and what else one asks of an image registry.
//!
//! It knows nothing of images as the engine keeps them: blobs go to and come from whoever implements
//! [`sink::Blobs`]; unpacking and naming are the caller's. It is not the server (`gantry-registry`).
//!
//! Start reading at [`registry::Registry`] (the client), then [`pull`], then [`fetch`] (how one blob arrives whatever
//! happens). [`session`] is one conversation with its login, [`http`] the connections below it.

pub mod auth;
pub mod carry;
pub mod download;
pub mod event;
pub mod failure;
mod fetch;
pub mod folder;
mod hosts;
pub mod http;
pub mod manifest;
pub mod pull;
pub mod push;
pub mod registry;
pub mod resolve;
mod session;
pub mod sink;
mod upload;

pub use auth::Credentials;
pub use event::{Event, Step};
pub use failure::RegistryError;
pub use fetch::Observer;
pub use pull::{Pull, Pulled};
pub use push::{Layer, Push, Pushed};
pub use registry::Registry;
pub use resolve::Settings;
