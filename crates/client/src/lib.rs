//! The Engine API's client.
