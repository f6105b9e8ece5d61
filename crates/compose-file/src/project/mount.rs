use super::{Extensions, Pairs, Size};

/// One entry of a service's `volumes`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// The host's path, the volume's name in the project, or the image; empty: an anonymous volume.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Not to be written.
    pub read_only: bool,
    /// `consistent`, `cached`, `delegated`: nothing on Linux.
    pub consistency: String,
    /// Options of a bind.
    pub bind: Option<BindOptions>,
    /// Options of a volume.
    pub volume: Option<VolumeOptions>,
    /// Options of a tmpfs.
    pub tmpfs: Option<TmpfsOptions>,
    /// Options of an image.
    pub image: Option<ImageOptions>,
    /// The user's own.
    pub extensions: Extensions,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MountKind {
    /// A folder or file of the host.
    Bind,
    /// A volume of the engine.
    #[default]
    Volume,
    /// Memory.
    Tmpfs,
    /// A pipe of Windows.
    NamedPipe,
    /// A cluster's volume.
    Cluster,
    /// An image's files.
    Image,
}

impl MountKind {
    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
            Self::NamedPipe => "npipe",
            Self::Cluster => "cluster",
            Self::Image => "image",
        }
    }
}

/// Options of a bind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BindOptions {
    /// `z` or `Z`.
    pub selinux: String,
    /// `rprivate`, `rslave`, ...
    pub propagation: String,
    /// Makes the host's folder when it is missing.
    pub create_host_path: bool,
    /// `enabled`, `disabled`, `writable`, `readonly`.
    pub recursive: String,
    /// The user's own.
    pub extensions: Extensions,
}

/// Options of a volume.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VolumeOptions {
    /// Labels of an anonymous volume.
    pub labels: Pairs,
    /// Does not fill it from the image.
    pub nocopy: bool,
    /// A folder in the volume.
    pub subpath: String,
    /// The user's own.
    pub extensions: Extensions,
}

/// Options of a tmpfs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TmpfsOptions {
    /// 0: as the engine has it.
    pub size: Size,
    /// 0: as the engine has it.
    pub mode: u32,
    /// The user's own.
    pub extensions: Extensions,
}

/// Options of an image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageOptions {
    /// A folder in the image.
    pub subpath: String,
    /// The user's own.
    pub extensions: Extensions,
}
