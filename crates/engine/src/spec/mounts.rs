//! Mounts as they were asked for. Resolution (names to paths, cascades, copy-up) is `container::mounts`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `-v source:target[:mode]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BindRequest {
    /// What is mounted.
    pub source: BindSource,
    /// Absolute place in the container.
    pub target: String,
    /// The mode as typed (`ro,z`), for `inspect`; empty without one.
    pub mode: String,
    /// What the mode says.
    pub options: BindOptions,
}

/// Left side of `-v`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BindSource {
    /// A host path, made as a directory when missing.
    Path(String),
    /// A volume's name.
    Volume(String),
}

/// Mode words of `-v`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindOptions {
    /// Whether and how deep it is read-only.
    pub read_only: ReadOnly,
    /// `None` takes rprivate (rslave below the engine's own root).
    pub propagation: Option<Propagation>,
    /// No copy-up into an empty named volume.
    pub nocopy: bool,
    /// `z` or `Z`: SELinux relabel, shared or private.
    pub relabel: Option<char>,
    /// `false` only when `--mount` forbids making a missing source.
    pub create_source: bool,
    /// Only the mount itself, not what is mounted beneath.
    pub non_recursive: bool,
}

/// How read-only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadOnly {
    /// Writable.
    #[default]
    No,
    /// Read-only, and everything beneath too when the kernel can.
    Yes,
    /// Read-only at the top only.
    NonRecursive,
    /// Read-only to the bottom, or refused.
    ForceRecursive,
}

/// Mount propagation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// `private`
    Private,
    /// `rprivate`
    Rprivate,
    /// `shared`
    Shared,
    /// `rshared`
    Rshared,
    /// `slave`
    Slave,
    /// `rslave`
    Rslave,
}

impl Propagation {
    /// Reads the word.
    pub fn parse(text: &str) -> Option<Propagation> {
        Some(match text {
            "private" => Propagation::Private,
            "rprivate" => Propagation::Rprivate,
            "shared" => Propagation::Shared,
            "rshared" => Propagation::Rshared,
            "slave" => Propagation::Slave,
            "rslave" => Propagation::Rslave,
            _ => return None,
        })
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Propagation::Private => "private",
            Propagation::Rprivate => "rprivate",
            Propagation::Shared => "shared",
            Propagation::Rshared => "rshared",
            Propagation::Slave => "slave",
            Propagation::Rslave => "rslave",
        }
    }
}

/// `--mount type=…`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MountRequest {
    /// What kind, with the options of that kind.
    pub kind: MountKind,
    /// Host path, volume name (empty: anonymous) or image; empty for tmpfs.
    pub source: String,
    /// Absolute place in the container.
    pub target: String,
    /// Read-only.
    pub read_only: bool,
    /// Kept for `inspect`; means nothing on Linux.
    #[serde(default)]
    pub consistency: String,
}

/// The kinds of `--mount`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// A host path; missing is refused unless `create_source`.
    Bind(BindOptions),
    /// A named or anonymous volume.
    Volume(VolumeOptions),
    /// Memory.
    Tmpfs(TmpfsOptions),
    /// Another image's root, read-only.
    Image(ImageOptions),
}

/// Options of a volume mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeOptions {
    /// No copy-up of the image's content.
    pub nocopy: bool,
    /// Labels of a volume made by this mount.
    pub labels: BTreeMap<String, String>,
    /// A folder inside the volume.
    pub subpath: String,
    /// Driver of a volume made by this mount; empty is `local`.
    pub driver: String,
    /// The driver's options.
    pub driver_opts: BTreeMap<String, String>,
}

/// Options of a tmpfs mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TmpfsOptions {
    /// Bytes; 0 for no limit.
    pub size_bytes: i64,
    /// Mode bits; 0 for 1777.
    pub mode: u32,
    /// Further options, each a word or a pair.
    pub options: Vec<Vec<String>>,
}

/// Options of an image mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageOptions {
    /// A folder inside the image.
    pub subpath: String,
}

/// `--volumes-from container[:mode]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumesFrom {
    /// Name or id.
    pub container: String,
    /// `ro`, `rw`, `z`, … as typed; empty without one.
    pub mode: String,
    /// `Some` overrides every mount taken over; `None` keeps each one's own.
    pub read_only: Option<bool>,
}
