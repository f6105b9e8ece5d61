use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use gantry_archive::{Entry, Writer};
use gantry_names::{DiffId, Digest, Hasher, ImageId, Platform, Reference};
use serde_json::{Value, json};

use crate::resolve::resolve_in;
use crate::{Error, Image, ImageStore, Record, Result};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// One image of an archive, in the store or not.
#[derive(Debug, Clone)]
pub struct ArchivePart {
    /// What it runs on.
    pub platform: Platform,
    /// The config document.
    pub config: Vec<u8>,
    /// Its layers, whose blobs are here.
    pub layers: Vec<crate::Layer>,
    /// The manifest it came by; else it gets one.
    pub manifest: Option<Vec<u8>>,
    /// The index it came by, where all that it names is here and goes along: other platforms, attestations.
    pub whole: Option<Whole>,
    /// The names it goes by in the archive.
    pub names: Vec<Reference>,
}

/// An index with all that it names.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The index.
    pub index: Digest,
    /// All that it names.
    pub blobs: Vec<Digest>,
}

impl ArchivePart {
    /// The manifest: the one it came by, or always the same for the same image.
    pub fn manifest(&self) -> serde_json::Result<Vec<u8>> {
        if let Some(bytes) = &self.manifest {
            return Ok(bytes.clone());
        }
        manifest_with(&Digest::sha256_of(&self.config), self.config.len(), &self.layers)
    }
}

/// An image to be saved, and the names it goes by in the archive.
struct Item {
    image: Image,
    names: BTreeSet<Reference>,
}

impl ImageStore {
    /// `docker save`: writes images to a tar stream that is an OCI image layout and a docker-archive at once. A name
    /// without a tag stands for all tags of its repository; an id brings no names. An image of several platforms that are all
    /// here goes whole, with `platform` that one alone.
    ///
    /// Layers' blobs are written as they are here, compressed or not; every reader tells by their first bytes.
    pub fn save(&self, names: &[String], platform: Option<&Platform>, out: &mut dyn Write) -> Result<()> {
        self.save_without(names, platform, &BTreeSet::new(), out)
    }

    /// The same without the layers that whoever loads it has: the archive names them and does not bring them.
    pub fn save_without(
        &self,
        names: &[String],
        platform: Option<&Platform>,
        without: &BTreeSet<DiffId>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let mut parts = Vec::new();
        for Item { image, names } in self.chosen(names, platform)? {
            let config = self.config_bytes(&image.id)?;
            parts.push(ArchivePart {
                platform: image.config.platform(),
                manifest: Some(self.manifest_of(&image, config.len())?),
                config,
                whole: image
                    .record
                    .whole()
                    .filter(|_| platform.is_none())
                    .map(|index| Whole { index: index.clone(), blobs: image.record.companions.clone() }),
                layers: image.record.layers,
                names: names.into_iter().collect(),
            });
        }
        self.write_archive_without(&parts, without, out)
    }

    /// Writes images to a tar stream that is an OCI image layout and a docker-archive at once.
    pub fn write_archive(&self, parts: &[ArchivePart], out: &mut dyn Write) -> Result<()> {
        self.write_archive_without(parts, &BTreeSet::new(), out)
    }

    fn write_archive_without(
        &self,
        parts: &[ArchivePart],
        without: &BTreeSet<DiffId>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let mut archive = Writer::new(out);
        let mut written: BTreeSet<Digest> = BTreeSet::new();
        folder(&mut archive, "blobs")?;
        folder(&mut archive, "blobs/sha256")?;
        let (mut descriptors, mut docker) = (Vec::new(), Vec::new());
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for part in parts {
            let id = ImageId(Digest::sha256_of(&part.config));
            for layer in &part.layers {
                if written.insert(layer.blob.clone()) && !without.contains(&layer.diff_id) {
                    self.write_blob(&mut archive, &id, &layer.blob)?;
                }
            }
            let manifest = part.manifest().map_err(std::io::Error::other)?;
            let digest = Digest::sha256_of(&manifest);
            for (digest, bytes) in [(&id.0, &part.config), (&digest, &manifest)] {
                if written.insert(digest.clone()) {
                    archive.append_bytes(&Entry::file(path(digest), bytes.len() as u64), bytes)?;
                }
            }
            let described = match &part.whole {
                None => {
                    json!({ "mediaType": MANIFEST, "digest": digest, "size": manifest.len(), "platform": part.platform })
                }
                Some(whole) => {
                    for blob in whole.blobs.iter().chain([&whole.index]) {
                        if written.insert(blob.clone()) {
                            self.write_blob(&mut archive, &id, blob)?;
                        }
                    }
                    self.describe(&whole.index)?
                }
            };
            descriptors.extend(under_names(&described, &part.names));
            docker.push(json!({
                "Config": path(&id.0),
                "RepoTags": if part.names.is_empty() { Value::Null } else { part.names.iter().map(Reference::familiar).collect() },
                "Layers": part.layers.iter().map(|layer| path(&layer.blob)).collect::<Vec<_>>(),
            }));
            if let Some(top) = part.layers.last() {
                for name in &part.names {
                    let tags = repositories.entry(name.familiar_name()).or_default();
                    tags.insert(name.tag().unwrap_or_default().to_owned(), top.blob.hex().to_owned());
                }
            }
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors });
        document(&mut archive, "index.json", &index)?;
        document(&mut archive, "manifest.json", &Value::Array(docker))?;
        document(&mut archive, "oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }))?;
        if !repositories.is_empty() {
            document(&mut archive, "repositories", &json!(repositories))?;
        }
        archive.finish()?;
        Ok(())
    }

    /// Everything the names stand for, before a byte is written: one wrong name and nothing is.
    fn chosen(&self, names: &[String], platform: Option<&Platform>) -> Result<Vec<Item>> {
        let catalog = self.catalog();
        // In the order they were asked for.
        let mut items: Vec<Item> = Vec::new();
        let mut add = |id: &ImageId, name: Option<&Reference>| -> Result<()> {
            let mut image = self.image_in(&catalog, id)?;
            let found = image.config.platform();
            if let Some(wanted) = platform.filter(|wanted| !found.matches(wanted)) {
                image = self.sibling(&image, wanted)?.ok_or_else(|| Error::Platform {
                    name: name.map_or_else(|| id.to_string(), Reference::familiar),
                    found: found.to_string(),
                    wanted: wanted.to_string(),
                })?;
            }
            let at = items.iter().position(|item| item.image.id == image.id).unwrap_or_else(|| {
                items.push(Item { image, names: BTreeSet::new() });
                items.len() - 1
            });
            items[at].names.extend(name.cloned());
            Ok(())
        };
        for name in names {
            let reference = Reference::parse(name).ok();
            let bare = reference
                .as_ref()
                .filter(|reference| reference.tag().is_none() && reference.digest().is_none());
            let of_repository: Vec<_> =
                bare.into_iter().flat_map(|bare| catalog.tags_of(&bare.name())).collect();
            if of_repository.is_empty() {
                let id = resolve_in(&catalog, name)?;
                let tagged = reference
                    .filter(|reference| reference.digest().is_none())
                    .map(|reference| reference.or_latest())
                    .filter(|reference| catalog.named(reference) == Some(&id));
                add(&id, tagged.as_ref())?;
            }
            for (reference, id) in of_repository {
                add(id, Some(reference))?;
            }
        }
        Ok(items)
    }

    /// The entry of an index that is here.
    fn describe(&self, index: &Digest) -> Result<Value> {
        let bytes = self.inner.content.read(index, crate::store::MAX_DOCUMENT)?;
        let document: Value = serde_json::from_slice(&bytes).map_err(std::io::Error::other)?;
        let media_type = document["mediaType"].as_str().unwrap_or(INDEX);
        Ok(json!({ "mediaType": media_type, "digest": index, "size": bytes.len() }))
    }

    pub(crate) fn write_blob(
        &self,
        archive: &mut Writer<&mut dyn Write>,
        image: &ImageId,
        blob: &Digest,
    ) -> Result<()> {
        let missing = || Error::LayerMissing { image: image.clone(), blob: blob.clone() };
        let info = self.inner.content.stat(blob).map_err(|_| missing())?;
        let mut checked = Checked { from: self.inner.content.open_blob(blob)?, hasher: Hasher::new() };
        archive.append(&Entry::file(path(blob), info.size), &mut checked)?;
        let found = checked.hasher.finish();
        if found != *blob {
            return Err(gantry_content::Error::Damaged { digest: blob.clone(), found }.into());
        }
        Ok(())
    }

    /// The manifest an image came by, or the one it gets: always the same for the same image.
    pub fn manifest_of(&self, image: &Image, config_size: usize) -> Result<Vec<u8>> {
        if let Some(digest) = &image.record.manifest
            && self.inner.content.contains(digest)
        {
            let kept = self.inner.content.read(digest, crate::store::MAX_DOCUMENT)?;
            if names_layers(&kept, &image.record) {
                return Ok(kept);
            }
        }
        let manifest = manifest_with(&image.id.0, config_size, &image.record.layers);
        Ok(manifest.map_err(std::io::Error::other)?)
    }
}

/// Whether a manifest names the blobs that are kept. It does not where the layers were here before under other blobs, as
/// after a `load`.
fn names_layers(manifest: &[u8], record: &Record) -> bool {
    let Ok(manifest) = serde_json::from_slice::<Value>(manifest) else { return false };
    let named = manifest["layers"].as_array().map_or(&[][..], Vec::as_slice);
    named.len() == record.layers.len()
        && named.iter().zip(&record.layers).all(|(named, kept)| named["digest"] == kept.blob.as_str())
}

/// The manifest of an image that came by none.
fn manifest_with(
    config: &Digest,
    config_size: usize,
    layers: &[crate::Layer],
) -> serde_json::Result<Vec<u8>> {
    let layer = |layer: &crate::Layer| json!({ "mediaType": layer.media_type, "digest": layer.blob, "size": layer.blob_size });
    serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": config, "size": config_size },
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    }))
}

/// Hashes what is read through it: a damaged blob is told, not passed on in silence.
struct Checked {
    from: std::fs::File,
    hasher: Hasher,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// An entry of the index once a name, or once without a name.
fn under_names(plain: &Value, names: &[Reference]) -> Vec<Value> {
    let named = |name: &Reference| {
        let mut descriptor = plain.clone();
        descriptor["annotations"] = json!({
            "io.containerd.image.name": name.to_string(),
            "org.opencontainers.image.ref.name": name.tag().unwrap_or_default(),
        });
        descriptor
    };
    if names.is_empty() { vec![plain.clone()] } else { names.iter().map(named).collect() }
}

pub(crate) fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

pub(crate) fn folder(archive: &mut Writer<&mut dyn Write>, name: &str) -> Result<()> {
    Ok(archive.append_bytes(&Entry::dir(name), b"")?)
}

pub(crate) fn document(archive: &mut Writer<&mut dyn Write>, name: &str, value: &Value) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(std::io::Error::other)?;
    Ok(archive.append_bytes(&Entry::file(name, bytes.len() as u64), &bytes)?)
}
