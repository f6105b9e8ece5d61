//! Builds: a Dockerfile and a folder become an image.
//!
//! The graph is decided first ([`plan`]); then its stages are built, several at once, each instruction looked up in
//! the cache by what goes into it, and run only when it is not there. A step is a container like any other: it runs
//! through a trait that the daemon provides ([`step::Outside`]); nothing here knows the engine.
//!
//! Start reading at [`request::BuildRequest`] and [`plan::plan`].

mod base;
mod build;
mod builder;
mod built;
pub mod cache;
mod document;
pub mod excerpt;
pub mod failure;
mod file;
pub mod files;
mod inline;
pub mod kept;
pub mod key;
mod link;
pub mod mounts;
mod needed;
mod place;
pub mod plan;
pub mod progress;
pub mod prune;
pub mod remote;
pub mod request;
mod roots;
mod run;
pub mod scope;
pub mod shared;
mod squash;
mod stage;
pub mod step;
mod stubs;
mod take;
pub mod upkeep;

pub use builder::Builder;
pub use built::Built;
pub use failure::{BuildError, Cause, Failed};
pub use file::is_own_frontend;
pub use needed::needed;
