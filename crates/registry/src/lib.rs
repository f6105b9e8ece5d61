//! The registry's server.
