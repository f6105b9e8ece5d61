//! Who refers to a manifest: one small file per referrer, so two pushes never fight over a list.

use std::io;

use gantry_names::Digest;

use super::{Store, layout};
use crate::manifest::{Descriptor, Manifest};
use crate::name::RepositoryName;

impl Store {
    pub(super) fn add_referrer(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        descriptor: &Descriptor,
    ) -> io::Result<()> {
        let json = serde_json::to_vec(descriptor).map_err(io::Error::other)?;
        self.driver.write(&layout::referrer(name, subject, &descriptor.digest), &json)
    }

    pub(super) fn drop_referrer(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        manifest: &Digest,
    ) -> io::Result<()> {
        self.driver.remove(&layout::referrer(name, subject, manifest))
    }

    /// The referrers of `subject` by digest. An entry whose manifest is not there (a push that broke off between
    /// the two) is passed over.
    pub fn referrers(&self, name: &RepositoryName, subject: &Digest) -> io::Result<Vec<Descriptor>> {
        let directory = layout::referrers(name, subject);
        let mut found = Vec::new();
        for entry in self.driver.list(&directory)? {
            let Some(json) = Self::maybe(self.driver.read(&format!("{directory}/{}", entry.name)))? else {
                continue;
            };
            let Ok(descriptor) = serde_json::from_slice::<Descriptor>(&json) else { continue };
            if self.has_revision(name, &descriptor.digest)? {
                found.push(descriptor);
            }
        }
        found.sort_by(|a, b| a.digest.cmp(&b.digest));
        Ok(found)
    }

    /// Finds the referrers in a volume that another registry wrote. Returns how many there are.
    pub fn index_referrers(&self) -> io::Result<usize> {
        let mut found = 0;
        for name in self.repositories(None, usize::MAX) {
            for digest in self.revisions(&name)? {
                let Some(stored) = self.manifest_content(&digest)? else { continue };
                let Ok(manifest) = Manifest::parse(&stored.bytes, None) else { continue };
                if let Some(subject) = &manifest.subject {
                    self.add_referrer(&name, subject, &manifest.descriptor(&digest, stored.bytes.len()))?;
                    found += 1;
                }
            }
        }
        Ok(found)
    }
}
