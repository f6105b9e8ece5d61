//! The Engine API's wire types: what travels between any Docker client and any Docker engine.
//!
//! One module a noun. Types only: no validation, no defaults of the engine's, no version rules; those live at
//! the server's door (`gantry-server`) and in the client. The reference is Docker's `api/swagger.yaml` and its Go
//! types of API 1.51, together with what older versions still print.
//!
//! Three habits run through all of it:
//! - *Every key Docker prints is printed.* A list that Go prints as `null` when unset is `Option<Vec<_>>`; a list
//!   that Go leaves out when empty (`omitempty`) is a plain `Vec` that is skipped.
//! - *Maps are sorted* (`BTreeMap`), as Go prints them. Times are RFC 3339 strings, as they are on the wire.
//! - *Reading is as forgiving as Go's decoder*: use [`decode`], not `serde_json` directly. It takes `null` for any
//!   value as that value's default, matches keys without regard to case, and ignores unknown keys.
//!
//! Start reading in [`container`], then [`decode`].

pub mod auth;
pub mod build;
pub mod container;
pub mod decode;
pub mod distribution;
pub mod error;
pub mod events;
pub mod exec;
pub mod filters;
pub mod image;
pub mod mount;
pub mod network;
pub mod oci;
pub mod plugin;
pub mod stream;
pub mod swarm;
pub mod system;
pub mod version;
pub mod volume;

pub use decode::{decode, decode_value};

/// A string map as Go prints it: sorted by key.
pub type Strings = std::collections::BTreeMap<String, String>;

/// Go's `struct{}` as a map's value: prints `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Empty {}

/// True for a value that Go's `omitempty` leaves out.
pub(crate) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Go's zero time, which Docker prints for moments that have not come.
pub const ZERO_TIME: &str = "0001-01-01T00:00:00Z";
