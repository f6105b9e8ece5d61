//! What the person has configured: `config.json`, stored credentials, contexts. The files are Docker's.

mod contexts;
mod credentials;
mod file;

pub use contexts::{Context, Store, valid_name};
pub use credentials::{Auth, all, erase, lookup, registry_header, registry_of, save, server_key};
pub use file::{ConfigFile, headers, indented};
