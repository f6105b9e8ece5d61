//! A project as an artifact of a registry, in the form that Docker Compose gives it: a layer for each compose file, for
//! each file that services extend, and for each `env_file`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use gantry_compose_file::load::Fetched;
use gantry_distribution::folder::Folder;
use gantry_distribution::manifest::{Descriptor, Document, Manifest, OCI_MANIFEST};
use gantry_distribution::sink::Blobs;
use gantry_distribution::{Credentials, Observer, Registry, Settings};
use gantry_names::{Digest, Reference};
use serde_json::{Value, json};

use super::{begin, cache, keep, named, wait};
use crate::commands::manifest::credentials;
use crate::session::Session;

/// What the artifact is.
const PROJECT: &str = "application/vnd.docker.compose.project";
/// The type of a layer that is a compose file.
pub const YAML_FILE: &str = "application/vnd.docker.compose.file+yaml";
/// The type of a layer that is an `env_file`.
pub const ENV_FILE: &str = "application/vnd.docker.compose.envfile";
/// The configuration's type where registries know no artifact types.
const OLD_CONFIG: &str = "application/vnd.docker.compose.config.empty.v1+json";
/// The configuration's type elsewhere.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// The annotation with a compose file's name.
pub const FILE: &str = "com.docker.compose.file";
/// The annotation of a file that services extend.
pub const EXTENDS: &str = "com.docker.compose.extends";
/// The annotation with an `env_file`'s name.
pub const ENV_NAME: &str = "com.docker.compose.envfile";
/// The annotation with the version of Compose.
pub const VERSION: &str = "com.docker.compose.version";

/// The bytes of all files together, and their number, that are taken.
const MOST: u64 = 16 << 20;
const MOST_LAYERS: usize = 1000;

/// A file of the artifact.
#[derive(Debug, Clone)]
pub struct Layer {
    /// [`YAML_FILE`] or [`ENV_FILE`].
    pub kind: &'static str,
    /// Its name and what else is said of it.
    pub annotations: BTreeMap<String, String>,
    /// Its text.
    pub bytes: Vec<u8>,
}

impl Layer {
    fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.kind.to_owned(),
            digest: Digest::sha256_of(&self.bytes),
            size: self.bytes.len() as u64,
            urls: Vec::new(),
            annotations: self.annotations.clone(),
            platform: None,
            artifact_type: None,
        }
    }
}

/// The artifact's manifest and its configuration's bytes; `old` for registries that know no artifact types.
pub fn manifest(layers: &[Layer], old: bool, created: &str) -> Result<(Manifest, Vec<u8>), String> {
    let config = b"{}".to_vec();
    let described: Vec<Descriptor> = layers.iter().map(Layer::descriptor).collect();
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": if old { OLD_CONFIG } else { EMPTY },
            "digest": Digest::sha256_of(&config),
            "size": config.len(),
        },
        "layers": described,
        "annotations": {"org.opencontainers.image.created": created},
    });
    if !old {
        document["artifactType"] = json!(PROJECT);
    }
    let bytes = serde_json::to_vec(&document).map_err(|why| why.to_string())?;
    let manifest = Manifest::parse(bytes, Some(OCI_MANIFEST), "artifact").map_err(|why| why.to_string())?;
    Ok((manifest, config))
}

/// Brings the artifact here, unless it is.
pub fn fetch(s: &Session, name: &str) -> Result<Fetched, String> {
    let reference = Reference::parse(name).map_err(|why| why.to_string())?.or_latest();
    let credentials = credentials(s, &reference).map_err(|why| why.to_string())?;
    let insecure = s.compose().all("insecure-registry");
    let cache = cache().map_err(|why| why.to_string())?;
    let work = async {
        let registry = Registry::new(Settings { insecure, ..Settings::default() });
        let manifest = registry.manifest(&reference, &credentials).await.map_err(|why| why.to_string())?;
        let layers = layers(&reference, &manifest)?;
        let root = cache.join(manifest.digest.hex());
        if !root.is_dir() {
            let begun = begin(&cache)?;
            let blobs = begin(&cache)?;
            let from = Source { registry: &registry, reference: &reference, credentials: &credentials };
            for (at, layer) in layers.iter().enumerate() {
                write(begun.path(), at, layer, &from.bytes(layer, blobs.path()).await?)?;
            }
            keep(begun, &root)?;
        }
        Ok(root)
    };
    let root = wait(name, work)?;
    named(&root, &root.join("compose.yaml"))
}

/// The files of what is a project and not too large.
fn layers(reference: &Reference, manifest: &Manifest) -> Result<Vec<Descriptor>, String> {
    let whole: Value = serde_json::from_slice(&manifest.bytes).map_err(|why| why.to_string())?;
    let kind = match whole["artifactType"].as_str() {
        Some(kind) if !kind.is_empty() => kind,
        _ => whole["config"]["mediaType"].as_str().unwrap_or_default(),
    };
    let Document::Image(image) = &manifest.document else {
        return Err(format!("{reference} is not a compose project OCI artifact, but an index"));
    };
    if !matches!(kind, PROJECT | OLD_CONFIG) {
        return Err(format!("{reference} is not a compose project OCI artifact, but {kind}"));
    }
    let size: u64 = image.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add);
    if size > MOST || image.layers.len() > MOST_LAYERS {
        return Err(format!(
            "{reference} has {} files of {size} bytes: at most {MOST_LAYERS} of {MOST} are taken",
            image.layers.len()
        ));
    }
    Ok(image.layers.clone())
}

struct Source<'a> {
    registry: &'a Registry,
    reference: &'a Reference,
    credentials: &'a Credentials,
}

impl Source<'_> {
    async fn bytes(&self, layer: &Descriptor, folder: &Path) -> Result<Vec<u8>, String> {
        let blobs: Arc<dyn Blobs> = Arc::new(Folder::new(folder));
        let observer: Observer = Arc::new(|_| {});
        let fetched = self.registry.fetch_blob(self.reference, layer, self.credentials, &blobs, &observer);
        fetched.await.map_err(|why| why.to_string())?;
        blobs.read(&layer.digest, MOST).map_err(|why| why.to_string())
    }
}

/// Writes one file. Compose files become one, a document each; what services extend, and `env_file`s, have their names.
fn write(folder: &Path, at: usize, layer: &Descriptor, bytes: &[u8]) -> Result<(), String> {
    let annotation = |name: &str| layer.annotations.get(name).map(String::as_str);
    let missing = |name: &str| format!("missing annotation {name} in layer {:?}", layer.digest.to_string());
    let file = match layer.media_type.as_str() {
        YAML_FILE if annotation(EXTENDS).is_some() => annotation(FILE).ok_or_else(|| missing(FILE))?,
        YAML_FILE => "compose.yaml",
        ENV_FILE => annotation(ENV_NAME).ok_or_else(|| missing(ENV_NAME))?,
        // Something of a newer Compose.
        _ => return Ok(()),
    };
    if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', '\0']) {
        return Err(format!("invalid file name in OCI artifact: {file:?}"));
    }
    let path = folder.join(file);
    let written = || {
        let mut out = OpenOptions::new().append(true).create(true).open(&path)?;
        if at > 0 && layer.media_type == YAML_FILE && out.metadata()?.len() > 0 {
            out.write_all(b"\n---\n")?;
        }
        out.write_all(bytes)
    };
    written().map_err(|why| format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: &'static str, annotations: &[(&str, &str)], text: &str) -> Layer {
        let annotations = annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Layer { kind, annotations, bytes: text.into() }
    }

    #[test]
    fn files_of_an_artifact_get_their_places_and_none_gets_out() {
        let folder = tempfile::tempdir().unwrap();
        let all = [
            layer(YAML_FILE, &[(FILE, "a.yaml")], "a: 1"),
            layer(YAML_FILE, &[(FILE, "b.yaml")], "b: 2"),
            layer(YAML_FILE, &[(FILE, "x.yaml"), (EXTENDS, "true")], "x: 3"),
            layer(ENV_FILE, &[(ENV_NAME, "y.env")], "Y=4"),
        ];
        for (at, layer) in all.iter().enumerate() {
            write(folder.path(), at, &layer.descriptor(), &layer.bytes).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("compose.yaml"), "a: 1\n---\nb: 2");
        assert_eq!((read("x.yaml").as_str(), read("y.env").as_str()), ("x: 3", "Y=4"));
        for name in ["../x", "/x", "a/b", "..", ""] {
            let bad = layer(ENV_FILE, &[(ENV_NAME, name)], "");
            assert!(write(folder.path(), 0, &bad.descriptor(), b"").is_err(), "{name:?}");
        }
    }

    #[test]
    fn only_projects_of_a_bearable_size_are_taken() {
        let reference = Reference::parse("h:1/a:b").unwrap();
        for old in [false, true] {
            let (manifest, _) = manifest(&[layer(YAML_FILE, &[], "x")], old, "now").unwrap();
            assert_eq!(layers(&reference, &manifest).unwrap().len(), 1);
            let other = String::from_utf8(manifest.bytes).unwrap();
            let other = other.replace(PROJECT, "a/b").replace(OLD_CONFIG, "a/b").into_bytes();
            let other = Manifest::parse(other, None, "x").unwrap();
            assert!(layers(&reference, &other).unwrap_err().ends_with("but a/b"));
        }
    }
}
