//! Registries, spoken to by the client itself: manifests are asked for and put as they are, which the engine's API has no
//! way for.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_distribution::carry::Carry;
use gantry_distribution::folder::Folder;
use gantry_distribution::manifest::{
    DOCKER_LIST, DOCKER_MANIFEST, Descriptor, Document, Manifest, OCI_INDEX, WirePlatform,
};
use gantry_distribution::{Credentials, Registry, RegistryError, Settings};
use gantry_names::Reference;
use serde_json::{Value, json};

use crate::config;
use crate::failure::Failure;
use crate::session::Session;

/// A client of registries with this person's credentials.
pub struct Remote<'s> {
    session: &'s Session,
    registry: Registry,
}

/// An entry of an index and where its manifest is.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The manifest, by digest.
    pub at: Reference,
    /// How an index names it.
    pub descriptor: Descriptor,
}

impl<'s> Remote<'s> {
    /// Registries in `insecure` may speak no TLS.
    pub fn new(session: &'s Session, insecure: Vec<String>) -> Remote<'s> {
        Remote { session, registry: Registry::new(Settings { insecure, ..Settings::default() }) }
    }

    fn credentials(&self, reference: &Reference) -> Result<Credentials, Failure> {
        credentials(self.session, reference)
    }

    /// What a name stands for.
    pub async fn manifest(&self, name: &Reference) -> Result<Manifest, Failure> {
        let found = self.registry.manifest(name, &self.credentials(name)?).await;
        found.map_err(|why| match why {
            RegistryError::ManifestUnknown { .. } | RegistryError::NameUnknown { .. } => {
                Failure::text(1, format!("no such manifest: {name}"))
            }
            why => failure(&why),
        })
    }

    /// The entries an index has of a name: all of an index, the one of an image.
    pub async fn entries(&self, name: &Reference) -> Result<Vec<Entry>, Failure> {
        let manifest = self.manifest(name).await?;
        let at = |descriptor: &Descriptor| name.repository().with_digest(descriptor.digest.clone());
        if let Document::Index(entries) = &manifest.document {
            return Ok(entries.iter().map(|one| Entry { at: at(one), descriptor: one.clone() }).collect());
        }
        let platform = self.platform(name).await?;
        let descriptor = Descriptor { platform, ..manifest.descriptor() };
        Ok(vec![Entry { at: at(&descriptor), descriptor }])
    }

    async fn platform(&self, name: &Reference) -> Result<Option<WirePlatform>, Failure> {
        let seen =
            self.registry.inspect(name, &self.credentials(name)?).await.map_err(|why| failure(&why))?;
        Ok(seen.platforms.into_iter().next())
    }

    /// Brings the entries to where `list` is and puts an index of them there; answers the index.
    pub async fn put_index(&self, list: &Reference, entries: &[Entry]) -> Result<Manifest, Failure> {
        let folder = Scratch::new()?;
        for entry in entries.iter().filter(|entry| entry.at.name() != list.name()) {
            let carry = Carry {
                from: &entry.at,
                to: &list.repository().with_digest(entry.descriptor.digest.clone()),
                reading: &self.credentials(&entry.at)?,
                writing: &self.credentials(list)?,
                blobs: Arc::new(Folder::new(&folder.0)),
            };
            self.registry.carry(&carry).await.map_err(|why| failure(&why))?;
        }
        let index = index(entries)?;
        let writing = self.credentials(list)?;
        self.registry.put_manifest(list, &index, &writing).await.map_err(|why| failure(&why))?;
        Ok(index)
    }

    /// Gives what is under one name another; its digest stays.
    pub async fn copy(&self, from: &Reference, manifest: &Manifest, to: &Reference) -> Result<(), Failure> {
        if let Document::Index(_) = &manifest.document {
            let folder = Scratch::new()?;
            for entry in self.entries(from).await?.iter().filter(|entry| entry.at.name() != to.name()) {
                let carry = Carry {
                    from: &entry.at,
                    to: &to.repository().with_digest(entry.descriptor.digest.clone()),
                    reading: &self.credentials(&entry.at)?,
                    writing: &self.credentials(to)?,
                    blobs: Arc::new(Folder::new(&folder.0)),
                };
                self.registry.carry(&carry).await.map_err(|why| failure(&why))?;
            }
            let writing = self.credentials(to)?;
            return self.registry.put_manifest(to, manifest, &writing).await.map_err(|why| failure(&why));
        }
        let folder = Scratch::new()?;
        let carry = Carry {
            from,
            to,
            reading: &self.credentials(from)?,
            writing: &self.credentials(to)?,
            blobs: Arc::new(Folder::new(&folder.0)),
        };
        self.registry.carry(&carry).await.map(drop).map_err(|why| failure(&why))
    }
}

/// What this person has for a name's registry.
pub fn credentials(session: &Session, reference: &Reference) -> Result<Credentials, Failure> {
    let auth = config::lookup(session.config(), reference.domain())?.unwrap_or_default();
    Ok(Credentials {
        username: auth.username,
        password: auth.password,
        identity_token: auth.identity_token,
        registry_token: String::new(),
    })
}

/// Brings images to the repository of an artifact, and puts an index of them there that refers to it.
pub async fn publish_images(
    session: &Session,
    insecure: Vec<String>,
    artifact: &Reference,
    subject: &Descriptor,
    images: &[Reference],
    (key, value): (&str, &str),
) -> Result<(), Failure> {
    let remote = Remote::new(session, insecure);
    let mut manifests = Vec::new();
    for image in images {
        let manifest = remote.manifest(image).await?;
        let to = artifact.repository().with_digest(manifest.digest.clone());
        remote.copy(image, &manifest, &to).await?;
        manifests.push(manifest.descriptor());
    }
    let document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": manifests,
        "subject": subject,
        "annotations": {key: value},
    });
    let bytes = serde_json::to_vec(&document).map_err(|why| why.to_string())?;
    let index = Manifest::parse(bytes, Some(OCI_INDEX), "index").map_err(|why| failure(&why))?;
    let to = artifact.repository().with_digest(index.digest.clone());
    let writing = remote.credentials(artifact)?;
    remote.registry.put_manifest(&to, &index, &writing).await.map_err(|why| failure(&why))
}

/// An index of these entries: Docker's kind if all its images are, else OCI's.
pub fn index(entries: &[Entry]) -> Result<Manifest, Failure> {
    let dockers = entries.iter().all(|entry| entry.descriptor.media_type == DOCKER_MANIFEST);
    let kind = if dockers { DOCKER_LIST } else { OCI_INDEX };
    let manifests: Vec<&Descriptor> = entries.iter().map(|entry| &entry.descriptor).collect();
    let document: Value = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
    let bytes = serde_json::to_vec_pretty(&document).map_err(|why| why.to_string())?;
    Manifest::parse(bytes, Some(kind), "index").map_err(|why| failure(&why))
}

fn failure(why: &RegistryError) -> Failure {
    Failure::text(1, why.to_string())
}

/// A folder that goes when it is no longer used.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, Failure> {
        let path = std::env::temp_dir().join(format!("gantry-carry-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}
