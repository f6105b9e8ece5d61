//! Far places for a registry's bytes: S3 and what speaks like it, Google Cloud Storage, Azure, Swift.
//!
//! It knows keys and bytes, no images: what lies under which key is the registry's business. The providers' wire is
//! the library's (`object_store`), Swift's our own behind the same trait; this crate gives it our HTTP client, reads
//! Docker's registry's settings, and turns its answers into `std::io`'s. Nothing of the library is in a public
//! signature.
//!
//! Start reading at [`Far`] (what can be done), then [`settings`](mod@settings) (what can be configured).

mod connect;
mod far;
mod settings;
mod swift;
mod upload;

pub use far::{Entry, Far, Stat};
pub use settings::{DRIVERS, SettingsError, open};
