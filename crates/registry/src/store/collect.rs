//! Removal of what nobody names, while pushes go on.
//!
//! The walk reads without any lock. Only the removal of one thing at a time holds the gate, and asks again: was it
//! touched since the walk began, or less than `grace` ago? A push touches all it needs before it checks that it is
//! there, under the gate's shared side. So either the push sees the blob and the collector its touch, or the
//! collector was first and the push is told that the blob is missing; an acknowledged push is never damaged.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use gantry_names::Digest;
use serde::{Deserialize, Serialize};

use super::{Store, layout, lock};
use crate::manifest::Manifest;
use crate::name::{RepositoryName, Tag};

/// How to collect.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Options {
    /// What is younger, or was asked for more lately, stays.
    pub grace: Duration,
    /// Manifests no tag leads to go as well.
    pub delete_untagged: bool,
    /// Only tell.
    pub dry_run: bool,
}

/// What a collection did, or would have done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Manifests taken from their repositories.
    pub manifests: u64,
    /// Blobs taken from repositories none of whose manifests needs them.
    pub links: u64,
    /// Blobs removed from the storage.
    pub blobs: u64,
    /// Bytes that freed.
    pub bytes: u64,
}

struct Collection<'a> {
    store: &'a Store,
    options: Options,
    began: Instant,
    report: Report,
    /// Everything some repository may read.
    live: HashSet<Digest>,
    /// Nobody pushes, now or a moment ago: only what is on disk counts.
    alone: bool,
}

impl Store {
    /// Removes what nobody names.
    pub fn collect(&self, options: Options) -> io::Result<Report> {
        self.collect_as(options, false)
    }

    /// The same for a store that no server has open: nothing was promised to anybody but what its age tells.
    pub fn collect_alone(&self, options: Options) -> io::Result<Report> {
        self.collect_as(options, true)
    }

    fn collect_as(&self, options: Options, alone: bool) -> io::Result<Report> {
        // Pushes that are linking just now end first, so the walk sees what they linked; those that come later touch
        // what they need after this moment.
        let began = {
            let _gate = self.removing();
            Instant::now()
        };
        let mut collection = Collection {
            store: self,
            options,
            began,
            report: Report::default(),
            live: HashSet::new(),
            alone,
        };
        for name in self.repositories(None, usize::MAX) {
            collection.repository(&name)?;
        }
        collection.sweep()?;
        self.forget_old_touches(options.grace);
        Ok(collection.report)
    }

    fn forget_old_touches(&self, grace: Duration) {
        lock(&self.touched).retain(|_, at| at.elapsed() < grace);
    }
}

impl Collection<'_> {
    /// Whether something may still be needed by a push under way. What an earlier server promised is not known,
    /// so its start counts as a promise of everything.
    fn young(&self, digest: &Digest, modified: SystemTime) -> bool {
        let grace = self.options.grace;
        let touched = lock(&self.store.touched).get(digest).copied();
        touched.is_some_and(|at| at >= self.began || at.elapsed() < grace)
            || (!self.alone && self.store.opened.elapsed() < grace)
            || SystemTime::now().duration_since(modified).is_ok_and(|age| age < grace)
    }

    fn repository(&mut self, name: &RepositoryName) -> io::Result<()> {
        let kept = self.manifests(name)?;
        let mut needed: HashSet<Digest> = HashSet::new();
        for digest in &kept {
            if let Some(stored) = self.store.manifest_content(digest)?
                && let Ok(manifest) = Manifest::parse(&stored.bytes, None)
            {
                needed.extend(manifest.blobs.into_iter().map(|blob| blob.digest));
            }
        }
        for digest in self.store.layer_links(name)? {
            if needed.contains(&digest) || !self.unlink(name, &digest)? {
                self.live.insert(digest);
            }
        }
        self.live.extend(kept);
        self.hollow_tags(name)?;
        self.vanish(name)
    }

    /// The manifests a repository keeps, after those no tag leads to have gone, if they are to go.
    fn manifests(&mut self, name: &RepositoryName) -> io::Result<Vec<Digest>> {
        let all = self.store.revisions(name)?;
        if !self.options.delete_untagged {
            return Ok(all);
        }
        let reachable = self.reachable(name, &all)?;
        let mut kept = Vec::new();
        for digest in all {
            if reachable.contains(&digest) || !self.delete(name, &digest)? {
                kept.push(digest);
            }
        }
        Ok(kept)
    }

    /// From the tags to children of indexes, and back along subjects: a signature stays with what it signs.
    fn reachable(&self, name: &RepositoryName, all: &[Digest]) -> io::Result<HashSet<Digest>> {
        let mut reachable = HashSet::new();
        let mut queue = Vec::new();
        for tag in self.store.tags(name)?.unwrap_or_default() {
            queue.extend(self.store.tag(name, &tag)?);
        }
        let mut about: Vec<(Digest, Digest)> = Vec::new();
        for digest in all {
            if let Some(stored) = self.store.manifest_content(digest)?
                && let Ok(manifest) = Manifest::parse(&stored.bytes, None)
            {
                about.extend(manifest.subject.map(|subject| (subject, digest.clone())));
            }
        }
        while let Some(digest) = queue.pop() {
            if !reachable.insert(digest.clone()) {
                continue;
            }
            queue.extend(about.iter().filter(|(subject, _)| *subject == digest).map(|(_, by)| by.clone()));
            if let Some(stored) = self.store.manifest_content(&digest)?
                && let Ok(manifest) = Manifest::parse(&stored.bytes, None)
            {
                queue.extend(manifest.children.into_iter().map(|child| child.digest));
            }
        }
        Ok(reachable)
    }

    fn delete(&mut self, name: &RepositoryName, digest: &Digest) -> io::Result<bool> {
        let link = format!("{}/link", layout::revision(name, digest));
        let _gate = self.store.removing();
        let Some(stat) = Store::maybe(self.store.driver.stat(&link))? else { return Ok(true) };
        if self.young(digest, stat.modified) {
            return Ok(false);
        }
        self.report.manifests += 1;
        if !self.options.dry_run {
            self.store.take_manifest(name, digest, &|_| false)?;
        }
        Ok(true)
    }

    /// Takes a blob from a repository that has no use for it. False when it must stay.
    fn unlink(&mut self, name: &RepositoryName, digest: &Digest) -> io::Result<bool> {
        let link = format!("{}/link", layout::layer(name, digest));
        let _gate = self.store.removing();
        let Some(stat) = Store::maybe(self.store.driver.stat(&link))? else { return Ok(true) };
        if self.young(digest, stat.modified) {
            return Ok(false);
        }
        self.report.links += 1;
        if !self.options.dry_run {
            self.store.take_blob(name, digest)?;
        }
        Ok(true)
    }

    /// Removes tags' directories that a broken push left without a link.
    fn hollow_tags(&mut self, name: &RepositoryName) -> io::Result<()> {
        let directory = layout::tags(name);
        for entry in self.store.driver.list(&directory)? {
            let _gate = self.store.removing();
            let hollow = match Tag::parse(&entry.name) {
                Some(tag) => self.store.tag(name, &tag)?.is_none(),
                None => false,
            };
            if hollow && !self.options.dry_run {
                self.store.driver.remove(&format!("{directory}/{}", entry.name))?;
            }
        }
        Ok(())
    }

    /// A repository with neither manifests nor blobs is no repository.
    fn vanish(&mut self, name: &RepositoryName) -> io::Result<()> {
        let _gate = self.store.removing();
        let empty = self.store.revisions(name)?.is_empty() && self.store.layer_links(name)?.is_empty();
        if empty && !self.options.dry_run {
            let home = layout::repository(name);
            for part in ["_manifests", "_layers", "_referrers", "_uploads"] {
                self.store.driver.remove(&format!("{home}/{part}"))?;
            }
            self.store.cache.forget_links();
            self.store.forget(name);
            // Other repositories may live below this name.
            if self.store.driver.list(&home)?.is_empty() {
                self.store.driver.remove(&home)?;
            }
        }
        Ok(())
    }

    fn sweep(&mut self) -> io::Result<()> {
        let driver = &self.store.driver;
        for algorithm in driver.list(layout::BLOBS)? {
            for shard in driver.list(&format!("{}/{}", layout::BLOBS, algorithm.name))? {
                let directory = format!("{}/{}/{}", layout::BLOBS, algorithm.name, shard.name);
                for hex in driver.list(&directory)? {
                    if let Ok(digest) = Digest::parse(&format!("{}:{}", algorithm.name, hex.name))
                        && !self.live.contains(&digest)
                    {
                        self.remove(&digest)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, digest: &Digest) -> io::Result<()> {
        let _gate = self.store.removing();
        let stat = Store::maybe(self.store.driver.stat(&layout::blob(digest)))?;
        match stat {
            Some(stat) if self.young(digest, stat.modified) => return Ok(()),
            Some(stat) => {
                self.report.blobs += 1;
                self.report.bytes += stat.size;
            }
            // A directory without data: a push made it a moment ago, or a removal broke off.
            None => {}
        }
        if !self.options.dry_run {
            self.store.driver.remove(&layout::blob_directory(digest))?;
        }
        Ok(())
    }
}
