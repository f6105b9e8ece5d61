//! Registries: a verb is a file.

pub mod login;
pub mod logout;
pub mod search;
