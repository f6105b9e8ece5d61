//! Manifests of a repository: put, get, delete.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use gantry_names::Digest;

use super::cache::{Link, Stored};
use super::{Store, layout};
use crate::manifest::{Manifest, SIZE_MAX};
use crate::name::{RepositoryName, Tag};

/// How a manifest is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By name.
    Tag(Tag),
    /// By content.
    Digest(Digest),
}

/// Why a manifest was not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Something the manifest points to is not in the repository.
    #[error("unknown blob {0}")]
    Missing(Digest),
    /// The tag names something else and may not be moved.
    #[error("tag {0} is immutable")]
    Immutable(Tag),
    /// The storage failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone.
    Done,
    /// It was not there.
    Absent,
    /// A tag that may not go names it.
    Immutable(Tag),
}

/// What is to be put.
pub struct Put<'a> {
    /// Where.
    pub name: &'a RepositoryName,
    /// The content's digest, already compared with the content.
    pub digest: &'a Digest,
    /// The exact bytes.
    pub bytes: &'a Bytes,
    /// The same, read.
    pub manifest: &'a Manifest,
    /// Tags to set once it is stored.
    pub tags: &'a [Tag],
    /// Whether a tag may not be moved to other content.
    pub immutable: &'a dyn Fn(&Tag) -> bool,
    /// Whether an index may point to manifests that are not here.
    pub sparse: bool,
    /// Whether nothing it points to need be here: a cache fetches that when somebody asks.
    pub cached: bool,
}

impl Store {
    /// Stores a manifest, its referrer entry, then its tags.
    pub fn put_manifest(&self, put: &Put<'_>) -> Result<(), PutError> {
        let _gate = self.linking();
        for descriptor in put.manifest.blobs.iter().chain(&put.manifest.children) {
            self.touch(&descriptor.digest);
        }
        for blob in &put.manifest.blobs {
            // A layer with URLs may live elsewhere (Windows base layers).
            if !put.cached && blob.urls.is_empty() && self.blob(put.name, &blob.digest)?.is_none() {
                return Err(PutError::Missing(blob.digest.clone()));
            }
        }
        for child in &put.manifest.children {
            if !put.cached && !put.sparse && !self.has_revision(put.name, &child.digest)? {
                return Err(PutError::Missing(child.digest.clone()));
            }
        }
        // Refused before anything is written; asked again under the tag's lock when it is set.
        for tag in put.tags {
            if (put.immutable)(tag) && self.tag(put.name, tag)?.is_some_and(|now| now != *put.digest) {
                return Err(PutError::Immutable(tag.clone()));
            }
        }
        self.write_blob(put.digest, put.bytes)?;
        if let Some(subject) = &put.manifest.subject {
            let descriptor = put.manifest.descriptor(put.digest, put.bytes.len());
            self.add_referrer(put.name, subject, &descriptor)?;
        }
        let revision = layout::revision(put.name, put.digest);
        if Self::maybe(self.driver.stat(&format!("{revision}/link")))?.is_none() {
            self.driver.mark(&format!("{revision}/link"), put.digest.as_str().as_bytes())?;
            self.cache.forget_link(&revision);
            self.cache.forget_link(&layout::layer(put.name, put.digest));
        }
        self.remember(put.name);
        for tag in put.tags {
            self.set_tag(put.name, tag, put.digest, (put.immutable)(tag))?;
        }
        Ok(())
    }

    pub(super) fn has_revision(&self, name: &RepositoryName, digest: &Digest) -> io::Result<bool> {
        let path = layout::revision(name, digest);
        if self.cache.link(&path) == Some(Link::Revision) {
            return Ok(true);
        }
        let began = self.cache.begin();
        let here = Self::maybe(self.driver.stat(&format!("{path}/link")))?.is_some();
        if here {
            self.cache.keep_link(began, path, Link::Revision);
        }
        Ok(here)
    }

    /// A manifest that was asked for lately: no I/O.
    pub fn cached_manifest(&self, name: &RepositoryName, target: &Target) -> Option<Arc<Stored>> {
        let digest = match target {
            Target::Digest(digest) => digest.clone(),
            Target::Tag(tag) => match self.cache.link(&layout::tag_link(name, tag))? {
                Link::Tag(digest) => digest,
                _ => return None,
            },
        };
        // Also behind a tag the right is asked: a deleted revision takes its tags along, but not in one instant.
        self.cache.link(&layout::revision(name, &digest))?;
        self.cache.manifest(&digest)
    }

    /// A manifest of this repository.
    pub fn manifest(&self, name: &RepositoryName, target: &Target) -> io::Result<Option<Arc<Stored>>> {
        let digest = match target {
            Target::Digest(digest) => digest.clone(),
            Target::Tag(tag) => match self.tag(name, tag)? {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        if !self.has_revision(name, &digest)? {
            return Ok(None);
        }
        self.manifest_content(&digest)
    }

    /// A manifest's content, whoever may read it.
    pub(super) fn manifest_content(&self, digest: &Digest) -> io::Result<Option<Arc<Stored>>> {
        if let Some(stored) = self.cache.manifest(digest) {
            return Ok(Some(stored));
        }
        let path = layout::blob(digest);
        match Self::maybe(self.driver.stat(&path))? {
            Some(stat) if stat.size <= SIZE_MAX as u64 => {}
            _ => return Ok(None),
        }
        let Some(bytes) = Self::maybe(self.driver.read(&path))? else { return Ok(None) };
        // An existing volume may hold what we would refuse today (schema 1): it is not there for us.
        let Ok(manifest) = Manifest::parse(&bytes, None) else { return Ok(None) };
        let stored = Arc::new(Stored {
            digest: digest.clone(),
            media_type: manifest.media_type,
            bytes: Bytes::from(bytes),
        });
        self.cache.keep_manifest(&stored);
        Ok(Some(stored))
    }

    /// All manifests linked to a repository.
    pub fn revisions(&self, name: &RepositoryName) -> io::Result<Vec<Digest>> {
        self.digests_below(&format!("{}/_manifests/revisions", layout::repository(name)))
    }

    /// Takes a manifest from a repository, and every tag that names it.
    pub fn delete_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        immutable: &dyn Fn(&Tag) -> bool,
    ) -> io::Result<Deletion> {
        let _gate = self.removing();
        self.take_manifest(name, digest, immutable)
    }

    /// The same; the caller holds the gate: a tag that is being set would lead nowhere.
    pub(super) fn take_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        immutable: &dyn Fn(&Tag) -> bool,
    ) -> io::Result<Deletion> {
        if !self.has_revision(name, digest)? {
            return Ok(Deletion::Absent);
        }
        let mut tags = Vec::new();
        for tag in self.tags(name)?.unwrap_or_default() {
            if self.tag(name, &tag)?.as_ref() == Some(digest) {
                tags.push(tag);
            }
        }
        if let Some(tag) = tags.iter().find(|tag| immutable(tag)) {
            return Ok(Deletion::Immutable(tag.clone()));
        }
        for tag in &tags {
            self.take_tag(name, tag)?;
        }
        if let Some(stored) = self.manifest_content(digest)?
            && let Ok(manifest) = Manifest::parse(&stored.bytes, None)
            && let Some(subject) = manifest.subject
        {
            self.drop_referrer(name, &subject, digest)?;
        }
        let revision = layout::revision(name, digest);
        self.driver.remove(&revision)?;
        self.cache.forget_link(&revision);
        self.cache.forget_link(&layout::layer(name, digest));
        Ok(Deletion::Done)
    }
}
