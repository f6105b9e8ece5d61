//! Tags: the only names that move.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::PoisonError;
use std::time::SystemTime;

use gantry_names::Digest;

use super::cache::Link;
use super::manifest::PutError;
use super::{Store, layout};
use crate::name::{RepositoryName, Tag};

impl Store {
    /// What a tag names.
    pub fn tag(&self, name: &RepositoryName, tag: &Tag) -> io::Result<Option<Digest>> {
        let path = layout::tag_link(name, tag);
        if let Some(Link::Tag(digest)) = self.cache.link(&path) {
            return Ok(Some(digest));
        }
        let began = self.cache.begin();
        let Some(text) = Self::maybe(self.driver.read(&path))? else { return Ok(None) };
        let digest = std::str::from_utf8(&text).ok().and_then(|text| Digest::parse(text.trim()).ok());
        let digest =
            digest.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{path} is damaged")))?;
        self.cache.keep_link(began, path, Link::Tag(digest.clone()));
        Ok(Some(digest))
    }

    pub(super) fn set_tag(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        immutable: bool,
    ) -> Result<(), PutError> {
        let path = layout::tag_link(name, tag);
        let mut slot = DefaultHasher::new();
        path.hash(&mut slot);
        let writers = &self.tag_writers[(slot.finish() % self.tag_writers.len() as u64) as usize];
        let _writer = writers.lock().unwrap_or_else(PoisonError::into_inner);
        if immutable && self.tag(name, tag)?.is_some_and(|now| now != *digest) {
            return Err(PutError::Immutable(tag.clone()));
        }
        self.driver.write(&path, digest.as_str().as_bytes())?;
        self.cache.forget_link(&path);
        Ok(())
    }

    /// All tags in byte order; `None` for a repository nobody pushed to.
    pub fn tags(&self, name: &RepositoryName) -> io::Result<Option<Vec<Tag>>> {
        if !self.knows(name) {
            return Ok(None);
        }
        let entries = self.driver.list(&layout::tags(name))?;
        let mut tags = Vec::with_capacity(entries.len());
        for tag in entries.iter().filter_map(|entry| Tag::parse(&entry.name)) {
            // A push that broke off may have left the tag's directory and nothing in it.
            if self.tag(name, &tag)?.is_some() {
                tags.push(tag);
            }
        }
        tags.sort();
        Ok(Some(tags))
    }

    /// When a tag was last set.
    pub fn tagged_at(&self, name: &RepositoryName, tag: &Tag) -> io::Result<Option<SystemTime>> {
        Ok(Self::maybe(self.driver.stat(&layout::tag_link(name, tag)))?.map(|stat| stat.modified))
    }

    /// Removes a tag; the manifest stays. False when there was none.
    pub fn delete_tag(&self, name: &RepositoryName, tag: &Tag) -> io::Result<bool> {
        let _gate = self.removing();
        self.take_tag(name, tag)
    }

    /// The same; the caller holds the gate.
    pub(super) fn take_tag(&self, name: &RepositoryName, tag: &Tag) -> io::Result<bool> {
        let link = layout::tag_link(name, tag);
        if Self::maybe(self.driver.stat(&link))?.is_none() {
            return Ok(false);
        }
        self.driver.remove(&layout::tag(name, tag))?;
        self.cache.forget_link(&link);
        Ok(true)
    }
}
