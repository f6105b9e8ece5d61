//! The classic builder's door: a query and a body become a build, its events Docker's stream of text.

mod context;
mod host;
pub(crate) mod modern;
mod options;
mod running;
mod story;
mod upkeep;

pub(crate) use context::Context;
pub(crate) use host::EngineHost;
pub(crate) use options::{Asked, read};
pub(crate) use running::Running;
pub(crate) use story::Story;
pub(crate) use upkeep::{line, policy, short};
