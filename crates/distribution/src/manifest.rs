//! Manifests as a client needs them. Sources: OCI image-spec `manifest.md`, `image-index.md`, `config.md`, and
//! Docker's schema 2.

use std::collections::BTreeMap;

use gantry_names::{Digest, Platform};
use serde::{Deserialize, Serialize};

use crate::failure::RegistryError;

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker schema 1, refused.
const SCHEMA1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Longest manifest read: what registries take.
pub const MANIFEST_MAX: usize = 4 << 20;

/// What is accepted, most wanted first.
pub(crate) const ACCEPT: [&str; 4] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

/// A reference to content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The content's type.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Where else it may be fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<WirePlatform>,
    /// What kind of artifact a manifest is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A blob and nothing more about it.
    pub fn of(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }
}

/// A platform as an index writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WirePlatform {
    /// `amd64`, ...
    #[serde(default)]
    pub architecture: String,
    /// `linux`, ...
    #[serde(default)]
    pub os: String,
    /// Windows' build.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What the system must have.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// `v8`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Descriptor {
    /// Whether it is a layer of files: OCI's `layer.v1.tar*` or Docker's `rootfs.diff.tar*`.
    pub fn is_layer(&self) -> bool {
        const KINDS: [&str; 4] = [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
        ];
        KINDS.iter().any(|kind| self.media_type.starts_with(kind))
    }
}

impl WirePlatform {
    /// The platform with its parts in their usual form.
    pub fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone().filter(|variant| !variant.is_empty()),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
        }
        .normalize()
    }
}

/// A manifest of one image (or artifact).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// A document, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Image(Box<Image>),
    /// Several.
    Index(Vec<Descriptor>),
}

/// A document with its bytes.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Digest of the bytes.
    pub digest: Digest,
    /// Its type.
    pub media_type: String,
    /// The bytes as they came.
    pub bytes: Vec<u8>,
    /// The bytes, read.
    pub document: Document,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Manifest {
    /// Reads a document. `content_type` is what the registry called it; `familiar` names the image in refusals.
    pub fn parse(bytes: Vec<u8>, content_type: Option<&str>, familiar: &str) -> Result<Self, RegistryError> {
        let raw: Raw = serde_json::from_slice(&bytes)?;
        let named = raw.media_type.clone().or_else(|| content_type.map(str::to_owned));
        if raw.schema_version == Some(1) || named.as_deref().is_some_and(|kind| SCHEMA1.contains(&kind)) {
            return Err(RegistryError::Schema1(familiar.to_owned()));
        }
        let (document, usual) = match (raw.config, raw.layers, raw.manifests) {
            (None, None, Some(manifests)) => (Document::Index(manifests), OCI_INDEX),
            (Some(config), layers, None) => (
                Document::Image(Box::new(Image { config, layers: layers.unwrap_or_default() })),
                OCI_MANIFEST,
            ),
            // Both at once is an attack (CVE-2021-41190), neither is nothing we know.
            _ => return Err(RegistryError::MediaType(named.unwrap_or_default())),
        };
        let known = |kind: &String| ACCEPT.contains(&kind.as_str());
        let media_type = named.filter(known).unwrap_or_else(|| usual.to_owned());
        let is_index = matches!(media_type.as_str(), OCI_INDEX | DOCKER_LIST);
        if is_index != matches!(document, Document::Index(_)) {
            return Err(RegistryError::MediaType(media_type));
        }
        Ok(Self { digest: Digest::sha256_of(&bytes), media_type, bytes, document })
    }

    /// The descriptor of this manifest.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(&self.media_type, self.digest.clone(), self.bytes.len() as u64)
    }
}

/// The entry of an index for a platform: the nearest, of equally near ones the first. Attestations (whose platform is
/// unknown/unknown) are never chosen.
pub fn choose<'a>(manifests: &'a [Descriptor], wanted: &Platform) -> Option<&'a Descriptor> {
    let fitting: Vec<(&Descriptor, Platform)> = manifests
        .iter()
        .filter_map(|entry| Some((entry, entry.platform.as_ref()?.platform())))
        .filter(|(_, platform)| platform.matches(wanted))
        .collect();
    let exact = fitting.iter().find(|(_, platform)| platform.variant == wanted.variant);
    exact.or(fitting.first()).map(|(entry, _)| *entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str) -> Result<Manifest, RegistryError> {
        Manifest::parse(text.as_bytes().to_vec(), None, "x")
    }

    #[test]
    fn documents_are_known_by_their_shape() {
        let config = format!(r#"{{"mediaType":"c","digest":"{DIGEST}","size":2}}"#);
        let image = parse(&format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#)).unwrap();
        assert_eq!(image.media_type, OCI_MANIFEST);
        assert!(matches!(parse(r#"{"manifests":[]}"#).unwrap().document, Document::Index(_)));
        assert!(matches!(parse(r#"{"schemaVersion":1}"#), Err(RegistryError::Schema1(_))));
        assert!(matches!(
            parse(&format!(r#"{{"config":{config},"manifests":[]}}"#)),
            Err(RegistryError::MediaType(_))
        ));
        assert!(matches!(
            parse(&format!(r#"{{"mediaType":"{OCI_INDEX}","config":{config},"layers":[]}}"#)),
            Err(RegistryError::MediaType(_))
        ));
    }

    #[test]
    fn the_platform_is_chosen_and_attestations_are_not() {
        let entry = |os: &str, architecture: &str, variant: Option<&str>, size| Descriptor {
            platform: Some(WirePlatform {
                os: os.into(),
                architecture: architecture.into(),
                variant: variant.map(str::to_owned),
                os_version: None,
                os_features: Vec::new(),
            }),
            size,
            ..image_descriptor()
        };
        let index = [
            entry("unknown", "unknown", None, 0),
            entry("linux", "arm", Some("v6"), 1),
            entry("linux", "arm", Some("v7"), 2),
            entry("linux", "amd64", None, 3),
        ];
        let choose =
            |text: &str| choose(&index, &Platform::parse(text).unwrap().normalize()).map(|found| found.size);
        assert_eq!(choose("linux/amd64"), Some(3));
        assert_eq!(choose("linux/arm/v7"), Some(2));
        assert_eq!(choose("linux/s390x"), None);
    }

    fn image_descriptor() -> Descriptor {
        Descriptor {
            media_type: OCI_MANIFEST.into(),
            digest: Digest::parse(DIGEST).unwrap(),
            size: 0,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }
}
