//! OCI image layouts: `index.json` and `blobs/`. Source: OCI image spec, image-layout.md.

use std::collections::HashMap;

use gantry_names::{Digest, Platform, Reference};
use serde::Deserialize;

use super::{Archive, Loaded};
use crate::{CreateOptions, Error, Result};

/// Indexes within indexes; deeper is a loop.
const DEPTH_LIMIT: usize = 8;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

impl Descriptor {
    fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.index.v1+json"
                | "application/vnd.docker.distribution.manifest.list.v2+json"
        )
    }
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// The full name that containerd and Docker write; the tag alone, that the OCI specification has.
const FULL_NAME: &str = "io.containerd.image.name";
const TAG: &str = "org.opencontainers.image.ref.name";

pub(super) fn load(archive: &mut Archive<'_>, wanted: Option<&Platform>) -> Result<Vec<Loaded>> {
    let index: Index = parse(archive.document("index.json")?, "index.json")?;
    let host = Platform::host();
    let platform = wanted.unwrap_or(&host);
    let mut loaded = Vec::new();
    for descriptor in &index.manifests {
        let Some((manifest, index)) = choose(archive, descriptor, platform, 0)? else { continue };
        let name = name_of(descriptor)?;
        let document: Manifest = parse(archive.document(&blob(&manifest))?, &blob(&manifest))?;
        let config = archive.document(&blob(&document.config.digest))?.to_vec();
        if Digest::sha256_of(&config) != document.config.digest {
            let why = "the config document does not have the digest that the manifest names".into();
            return Err(Error::Manifest { digest: manifest, why });
        }
        let files: Vec<String> = document.layers.iter().map(|layer| blob(&layer.digest)).collect();
        files.iter().try_for_each(|file| archive.document_to_layer(file))?;
        for (layer, file) in document.layers.iter().zip(&files) {
            archive.check_blob(file, &layer.digest)?;
        }
        let manifest = Some(keep_document(archive, &manifest)?);
        let mut options = CreateOptions { manifest, ..CreateOptions::default() };
        if let Some(index) = index {
            options.companions = companions(archive, &index)?;
            options.index = Some(keep_document(archive, &index)?);
        }
        let id = archive.image(&config, &files, &options)?;
        loaded.push(match name {
            Some(name) => archive.name(&id, &name)?,
            None => Loaded { id, reference: None, previous: None },
        });
    }
    if loaded.is_empty() {
        return Err(Error::NoPlatform(platform.to_string()));
    }
    Ok(loaded)
}

/// Manifests of a layout by the digest of their config, as far as they can be read.
pub(super) fn manifests_by_config(archive: &Archive<'_>) -> HashMap<Digest, Digest> {
    let mut found = HashMap::new();
    let mut open: Vec<(Descriptor, usize)> = Vec::new();
    let read = |name: &str| {
        archive.document(name).ok().and_then(|bytes| serde_json::from_slice::<Index>(bytes).ok())
    };
    open.extend(read("index.json").into_iter().flat_map(|index| index.manifests).map(|d| (d, 0)));
    while let Some((descriptor, depth)) = open.pop() {
        let name = blob(&descriptor.digest);
        let manifest =
            archive.document(&name).ok().and_then(|bytes| serde_json::from_slice::<Manifest>(bytes).ok());
        match manifest {
            Some(manifest) => drop(found.insert(manifest.config.digest, descriptor.digest)),
            None if depth < DEPTH_LIMIT => {
                open.extend(
                    read(&name).into_iter().flat_map(|index| index.manifests).map(|d| (d, depth + 1)),
                );
            }
            None => {}
        }
    }
    found
}

/// The index of a layout that names a manifest.
pub(super) fn index_of(archive: &Archive<'_>, manifest: &Digest) -> Option<Digest> {
    let read = |name: &str| serde_json::from_slice::<Index>(archive.document(name).ok()?).ok();
    let indexes = read("index.json")?.manifests.into_iter().filter(Descriptor::is_index);
    let names = |index: &Descriptor| {
        read(&blob(&index.digest))
            .is_some_and(|index| index.manifests.iter().any(|inner| inner.digest == *manifest))
    };
    indexes.map(|index| (names(&index), index.digest)).find(|(names, _)| *names).map(|(_, index)| index)
}

/// Keeps all that an index names, where the archive has all of it: other platforms, attestations. Nothing of it else.
pub(super) fn companions(archive: &Archive<'_>, index: &Digest) -> Result<Vec<Digest>> {
    let document: Index = parse(archive.document(&blob(index))?, &blob(index))?;
    let (mut documents, mut others) = (Vec::new(), Vec::new());
    for inner in document.manifests {
        let manifest = archive.document(&blob(&inner.digest)).ok();
        let Some(manifest) = manifest.and_then(|bytes| serde_json::from_slice::<Manifest>(bytes).ok()) else {
            return Ok(Vec::new());
        };
        documents.push(inner.digest);
        for named in [manifest.config].into_iter().chain(manifest.layers) {
            match archive.document(&blob(&named.digest)) {
                Ok(_) => documents.push(named.digest),
                Err(_) => others.push(named.digest),
            }
        }
    }
    if !others.iter().all(|blob| archive.store.inner.content.touch(blob)) {
        return Ok(Vec::new());
    }
    documents.iter().try_for_each(|digest| keep_document(archive, digest).map(drop))?;
    documents.append(&mut others);
    documents.sort();
    documents.dedup();
    Ok(documents)
}

/// Puts a document of the layout into the content store under the digest it must have.
pub(super) fn keep_document(archive: &Archive<'_>, digest: &Digest) -> Result<Digest> {
    let bytes = archive.document(&blob(digest))?;
    let found = archive.store.inner.content.put(bytes)?;
    if found != *digest {
        return Err(Error::Manifest {
            digest: digest.clone(),
            why: format!("its bytes have the digest {found}"),
        });
    }
    Ok(found)
}

/// The manifest for `platform` behind a descriptor, and the index it was chosen from.
fn choose(
    archive: &Archive<'_>,
    descriptor: &Descriptor,
    platform: &Platform,
    depth: usize,
) -> Result<Option<(Digest, Option<Digest>)>> {
    if depth > DEPTH_LIMIT {
        return Err(Error::Archive("its indexes are nested too deeply".into()));
    }
    if !descriptor.is_index() {
        let fits =
            descriptor.platform.as_ref().is_none_or(|found| found.clone().normalize().matches(platform));
        return Ok(fits.then(|| (descriptor.digest.clone(), None)));
    }
    let name = blob(&descriptor.digest);
    let document: Index = parse(archive.document(&name)?, &name)?;
    for inner in &document.manifests {
        // An archive may hold fewer platforms than its index names.
        if archive.document(&blob(&inner.digest)).is_err() {
            continue;
        }
        if let Some((manifest, _)) = choose(archive, inner, platform, depth + 1)? {
            return Ok(Some((manifest, Some(descriptor.digest.clone()))));
        }
    }
    Ok(None)
}

fn name_of(descriptor: &Descriptor) -> Result<Option<Reference>> {
    let full = descriptor.annotations.get(FULL_NAME).map(|name| Reference::parse(name)).transpose()?;
    // A bare tag names nothing; a whole reference in its place (as skopeo writes) does.
    let tag = descriptor.annotations.get(TAG).filter(|name| name.contains([':', '/']));
    Ok(full.or_else(|| tag.and_then(|name| Reference::parse(name).ok())))
}

fn blob(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::Archive(format!("{name}: {error}")))
}
