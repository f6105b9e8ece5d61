//! Wire to engine, and engine to wire. One module a noun; nothing here asks the engine anything.

pub(crate) mod create;
