//! Wire to engine, and engine to wire. One module a noun; nothing here asks the engine anything.

pub(crate) mod ancient;
pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod event;
pub(crate) mod host_config;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod network;
pub(crate) mod networks;
pub(crate) mod plumb;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod volume;
