//! Where everything lies: the layout of Docker's own registry, so that an existing volume can be mounted as it is
//! (and taken back).
//!
//! ```text
//! docker/registry/v2/
//!   blobs/<algorithm>/<first two>/<hex>/data          every blob and every manifest, once
//!   repositories/<name>/
//!     _layers/<algorithm>/<hex>/link                   this repository may read that blob
//!     _manifests/revisions/<algorithm>/<hex>/link      ... that manifest
//!     _manifests/tags/<tag>/current/link               the manifest a tag names
//!     _referrers/<algorithm>/<subject hex>/<algorithm>-<hex>   ours: a descriptor per referrer
//! .gantry/                                             ours: lock, drafts, uploads, token key
//! ```
//! A link's content is the digest as text; of a layer's or a revision's link only the name counts.

use gantry_names::Digest;

use crate::name::{RepositoryName, Tag};

/// Every blob's directory.
pub const BLOBS: &str = "docker/registry/v2/blobs";
/// Every repository's directory.
pub const REPOSITORIES: &str = "docker/registry/v2/repositories";
/// The server's own directory below the root.
pub const PRIVATE: &str = ".gantry";

/// The directory of one blob.
pub fn blob_directory(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{BLOBS}/{}/{}/{hex}", digest.algorithm(), &hex[..2])
}

/// One blob's bytes.
pub fn blob(digest: &Digest) -> String {
    format!("{}/data", blob_directory(digest))
}

/// One repository.
pub fn repository(name: &RepositoryName) -> String {
    format!("{REPOSITORIES}/{name}")
}

/// The right of a repository to a blob: a directory with a link in it.
pub fn layer(name: &RepositoryName, digest: &Digest) -> String {
    format!("{REPOSITORIES}/{name}/_layers/{}/{}", digest.algorithm(), digest.hex())
}

/// The right of a repository to a manifest.
pub fn revision(name: &RepositoryName, digest: &Digest) -> String {
    format!("{REPOSITORIES}/{name}/_manifests/revisions/{}/{}", digest.algorithm(), digest.hex())
}

/// All tags of a repository.
pub fn tags(name: &RepositoryName) -> String {
    format!("{REPOSITORIES}/{name}/_manifests/tags")
}

/// One tag's directory.
pub fn tag(name: &RepositoryName, tag: &Tag) -> String {
    format!("{}/{tag}", tags(name))
}

/// What one tag names.
pub fn tag_link(name: &RepositoryName, tag: &Tag) -> String {
    format!("{}/{tag}/current/link", tags(name))
}

/// All referrers of a subject.
pub fn referrers(name: &RepositoryName, subject: &Digest) -> String {
    format!("{REPOSITORIES}/{name}/_referrers/{}/{}", subject.algorithm(), subject.hex())
}

/// One referrer of a subject.
pub fn referrer(name: &RepositoryName, subject: &Digest, manifest: &Digest) -> String {
    format!("{}/{}-{}", referrers(name, subject), manifest.algorithm(), manifest.hex())
}
