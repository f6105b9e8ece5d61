//! Far places for a registry's bytes: S3 and what speaks like it, Google Cloud Storage, Azure.
//!
//! It knows keys and bytes, no images: what lies under which key is the registry's business. The providers' wire is
//! the library's (`object_store`); this crate gives it our HTTP client, reads Docker's registry's settings, and turns
//! its answers into `std::io`'s. Nothing of the library is in a public signature.
//!
//! Start reading at [`Far`] (what can be done), then [`settings`](mod@settings) (what can be configured).

mod connect;
mod far;
mod settings;
mod upload;

pub use far::{Entry, Far, Stat};
pub use settings::{DRIVERS, SettingsError, open};
