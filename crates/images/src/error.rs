use gantry_errdefs::{Class, Classified};
use gantry_names::{Digest, ImageId};

/// What an image operation returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image operation failed. The texts are Docker's where Docker has one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No image of that name or id.
    #[error("No such image: {0}")]
    NotFound(String),
    /// A short id that fits several images.
    #[error("ambiguous reference: {0} is the beginning of several image ids")]
    Ambiguous(String),
    /// The image is there, but for another platform.
    #[error(
        "image with reference {name} was found but its platform ({found}) does not match the specified platform ({wanted})"
    )]
    Platform {
        /// How it was asked for.
        name: String,
        /// The image's platform.
        found: String,
        /// The platform asked for.
        wanted: String,
    },
    /// Not a reference.
    #[error(transparent)]
    Reference(#[from] gantry_names::ReferenceError),
    /// A container uses the only reference.
    #[error(
        "conflict: unable to remove repository reference {name:?} (must force) - container {container} is using its referenced image {image}"
    )]
    ReferenceInUse {
        /// The reference as given.
        name: String,
        /// The container's short id.
        container: String,
        /// The image's short id.
        image: String,
    },
    /// The image cannot be deleted.
    #[error("conflict: unable to delete {image} ({}) - {why}", if *hard { "cannot be forced" } else { "must be forced" })]
    InUse {
        /// The image's short id.
        image: String,
        /// Whether force would not help.
        hard: bool,
        /// Whether a container is the reason.
        used: bool,
        /// Docker's reason.
        why: String,
    },
    /// A tag cannot be given to this reference.
    #[error("refusing to create a tag with a digest reference")]
    TagWithDigest,
    /// Somebody prunes already.
    #[error("a prune operation is already running")]
    PruneRunning,
    /// A filter that does not exist or a value that does not fit.
    #[error("invalid filter '{0}'")]
    Filter(String),
    /// A filter's value does not parse.
    #[error("invalid value for '{key}' filter: {why}")]
    FilterValue {
        /// The filter.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// An archive that is no image archive, or a broken one.
    #[error("invalid archive: {0}")]
    Archive(String),
    /// The archive's image has another number of layers than its config says.
    #[error("invalid manifest, layers length mismatch: expected {expected}, got {found}")]
    LayerCount {
        /// In the config.
        expected: usize,
        /// In the manifest.
        found: usize,
    },
    /// A layer is not the one its config names.
    #[error("invalid diffID for layer {index}: expected {expected:?}, got {found:?}")]
    DiffId {
        /// Which layer, from the bottom, from zero.
        index: usize,
        /// What the config says.
        expected: String,
        /// What the layer's bytes hash to.
        found: String,
    },
    /// A config document that is not one.
    #[error("invalid image config {id}: {why}")]
    Config {
        /// Whose.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// A manifest or index that is not one.
    #[error("invalid manifest {digest}: {why}")]
    Manifest {
        /// Whose.
        digest: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// An image of another operating system.
    #[error("cannot load {0} image on linux")]
    OperatingSystem(String),
    /// Nothing in the archive fits the platform.
    #[error("no image in the archive fits the platform {0}")]
    NoPlatform(String),
    /// A layer of the image is not on this machine.
    #[error("image {image}: layer {blob} is missing")]
    LayerMissing {
        /// The image.
        image: ImageId,
        /// The layer's blob.
        blob: Digest,
    },
    /// Docker's limit: an overlay of more layers does not mount.
    #[error("max depth exceeded")]
    TooDeep,
    /// The image has no layers to write.
    #[error("empty export - not implemented")]
    EmptyExport,
    /// The blobs below.
    #[error(transparent)]
    Content(#[from] gantry_content::Error),
    /// The snapshots below.
    #[error(transparent)]
    Snapshot(#[from] gantry_snapshots::Error),
    /// The records below.
    #[error(transparent)]
    Store(#[from] gantry_store::StoreError),
    /// A tar stream.
    #[error(transparent)]
    Tar(#[from] gantry_archive::Error),
    /// Reading what was given or writing what was asked for.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Error::NotFound(_) | Error::Ambiguous(_) | Error::Platform { .. } | Error::NoPlatform(_) => {
                Class::NotFound
            }
            Error::ReferenceInUse { .. } | Error::InUse { .. } | Error::PruneRunning => Class::Conflict,
            Error::Reference(_)
            | Error::TagWithDigest
            | Error::Filter(_)
            | Error::FilterValue { .. }
            | Error::Archive(_)
            | Error::LayerCount { .. }
            | Error::DiffId { .. }
            | Error::Config { .. }
            | Error::Manifest { .. }
            | Error::TooDeep
            | Error::OperatingSystem(_) => Class::InvalidArgument,
            Error::EmptyExport => Class::NotImplemented,
            Error::LayerMissing { .. } => Class::Internal,
            Error::Content(error) => error.class(),
            Error::Snapshot(error) => error.class(),
            Error::Store(error) => error.class(),
            Error::Tar(error) => error.class(),
            Error::Io(error) => error.class(),
        }
    }
}
