//! Cache that travels by itself: to a registry, or to a folder of the client, and from there into other builds.
//!
//! The document is BuildKit's (`application/vnd.buildkit.cacheconfig.v0`, an image manifest around it), so that every
//! registry and tool that knows those takes ours. What a step's key is, is our own: BuildKit finds nothing in ours, nor
//! we in its.
//!
//! Start reading at [`document`], then [`export`] and [`import`].

mod document;
mod export;
mod import;

pub(crate) use export::{check, export};
pub(crate) use import::{bring, import};

/// The manifest's config.
const CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";
/// The manifest.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// No manifest is larger: what registries take.
const MANIFEST_LIMIT: usize = 4 << 20;
/// No config is larger: a thousand steps are far below.
const CONFIG_LIMIT: usize = 64 << 20;

/// The client's store that a local cache's folder is.
fn store_of(folder: &str) -> String {
    format!("local:{folder}")
}
