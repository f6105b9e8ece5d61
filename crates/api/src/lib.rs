//! The Engine API's wire types. No behaviour.
