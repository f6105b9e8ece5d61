//! Manifest documents as the server needs them: what kind, what they point to, which subject.
//!
//! The bytes are kept exactly as they came; this is only a reading of them. Sources: OCI image-spec
//! `manifest.md` and `image-index.md`, Docker's "Image Manifest Version 2, Schema 2".

use gantry_names::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The artifact manifest of OCI 1.1's release candidates, still found in the field.
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// Largest manifest taken: the spec asks for at least 4 MiB.
pub const SIZE_MAX: usize = 4 << 20;

/// A reference to content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The content's type.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    #[serde(default)]
    pub size: u64,
    /// What kind of artifact a manifest is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Map<String, Value>>,
    /// Where else the content is: such a layer need not be in this registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<Map<String, Value>>,
}

/// A manifest, read.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its media type: as written in it, or found by its shape.
    pub media_type: String,
    /// Config first, then the layers: blobs that must be here.
    pub blobs: Vec<Descriptor>,
    /// Manifests an index points to.
    pub children: Vec<Descriptor>,
    /// The manifest this one is about.
    pub subject: Option<Digest>,
    /// What a referrers list says of it.
    pub artifact_type: Option<String>,
    /// Its own annotations.
    pub annotations: Option<Map<String, Value>>,
}

/// Why bytes are not a manifest this registry takes.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or a field of the wrong kind.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Schema 1 died in 2019.
    #[error("schema 1 manifests are not supported: rebuild or re-push the image as schema 2 or OCI")]
    Schema1,
    /// JSON of no known shape.
    #[error("unknown manifest type: {0}")]
    Unknown(String),
    /// The header says one thing and the document another.
    #[error("mediaType {document} in the manifest does not match the content type {header}")]
    Mismatch {
        /// What the document says.
        document: String,
        /// What the request said.
        header: String,
    },
}

impl Manifest {
    /// Reads a document. `content_type` is the request's, without parameters, when there was one.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let document: Document = serde_json::from_slice(bytes)?;
        if document.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        if let (Some(inside), Some(header)) = (&document.media_type, content_type)
            && inside != header
        {
            return Err(ManifestError::Mismatch { document: inside.clone(), header: header.to_owned() });
        }
        let media_type = document.media_type.clone().or_else(|| content_type.map(str::to_owned));
        let media_type = match media_type {
            Some(named) => named,
            None if document.manifests.is_some() => OCI_INDEX.to_owned(),
            None if document.config.is_some() && document.layers.is_some() => OCI_MANIFEST.to_owned(),
            None => return Err(ManifestError::Unknown("no mediaType".to_owned())),
        };
        document.into_manifest(media_type)
    }
}

impl Document {
    fn into_manifest(self, media_type: String) -> Result<Manifest, ManifestError> {
        // One document read as an image by one client and as an index by another is an attack (CVE-2021-41190).
        if self.manifests.is_some() && (self.config.is_some() || self.layers.is_some()) {
            return Err(ManifestError::Unknown("both an image and an index".to_owned()));
        }
        let mut manifest = Manifest {
            blobs: Vec::new(),
            children: Vec::new(),
            subject: self.subject.map(|subject| subject.digest),
            artifact_type: self.artifact_type.filter(|kind| !kind.is_empty()),
            annotations: self.annotations,
            media_type,
        };
        match manifest.media_type.as_str() {
            OCI_MANIFEST | DOCKER_MANIFEST => {
                let config = self.config.ok_or_else(|| ManifestError::Unknown("no config".to_owned()))?;
                if manifest.artifact_type.is_none() && !config.media_type.is_empty() {
                    manifest.artifact_type = Some(config.media_type.clone());
                }
                manifest.blobs.push(config);
                manifest.blobs.extend(self.layers.unwrap_or_default());
            }
            OCI_INDEX | DOCKER_LIST => {
                manifest.children =
                    self.manifests.ok_or_else(|| ManifestError::Unknown("no manifests".to_owned()))?;
            }
            OCI_ARTIFACT => manifest.blobs = self.blobs.unwrap_or_default(),
            other => return Err(ManifestError::Unknown(other.to_owned())),
        }
        Ok(manifest)
    }
}

impl Manifest {
    /// What a referrers list says of this manifest.
    pub fn descriptor(&self, digest: &Digest, size: usize) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: digest.clone(),
            size: size as u64,
            artifact_type: self.artifact_type.clone(),
            annotations: self.annotations.clone(),
            urls: Vec::new(),
            platform: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_manifest_without_media_type_is_known_by_its_shape() {
        let image = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{DIGEST}"}},"layers":[]}}"#);
        assert_eq!(Manifest::parse(image.as_bytes(), None).unwrap().media_type, OCI_MANIFEST);
        let index = br#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(Manifest::parse(index, None).unwrap().media_type, OCI_INDEX);
    }

    #[test]
    fn what_is_not_a_manifest_is_refused() {
        assert!(matches!(Manifest::parse(b"{", None), Err(ManifestError::Json(_))));
        assert!(matches!(Manifest::parse(b"{}", None), Err(ManifestError::Unknown(_))));
        assert!(matches!(
            Manifest::parse(br#"{"schemaVersion":1,"name":"a"}"#, None),
            Err(ManifestError::Schema1)
        ));
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"digest":"{DIGEST}"}}]}}"#
        );
        assert!(matches!(
            Manifest::parse(text.as_bytes(), Some(OCI_MANIFEST)),
            Err(ManifestError::Mismatch { .. })
        ));
        let both = format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{DIGEST}","size":2}},"layers":[],"manifests":[]}}"#
        );
        assert!(matches!(Manifest::parse(both.as_bytes(), None), Err(ManifestError::Unknown(_))));
        let evil = r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:../../etc/passwd"}]}"#;
        assert!(matches!(Manifest::parse(evil.as_bytes(), None), Err(ManifestError::Json(_))));
    }

    #[test]
    fn the_artifact_type_falls_back_to_the_configs() {
        let image = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{DIGEST}"}},"layers":[]}}"#
        );
        assert_eq!(Manifest::parse(image.as_bytes(), None).unwrap().artifact_type.as_deref(), Some("a/b"));
    }
}
