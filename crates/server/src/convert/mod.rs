//! Wire to engine, and engine to wire. One module a noun; nothing here asks the engine anything.

pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod host_config;
pub(crate) mod networks;
pub(crate) mod state;
