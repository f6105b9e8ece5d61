use std::collections::HashSet;
use std::time::Duration;

use gantry_names::{ChainId, ImageId, Reference};

use crate::catalog::{Catalog, Change};
use crate::resolve::{resolve_in, stored_form};
use crate::{Error, ImageStore, Record, Result};

/// How to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Even if stopped containers use it or several names point at it.
    pub force: bool,
    /// Leave nameless parents where they are (`--no-prune`).
    pub no_prune: bool,
}

/// One line of what a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name is gone: its short form.
    Untagged(String),
    /// An image is gone: its id.
    Deleted(String),
    /// A layer is gone: its chain id. It is listed like an image, and no event tells it.
    Layer(String),
}

/// A container that uses an image; told by whoever knows containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The container's id.
    pub container: String,
    /// Whether it runs (or is paused).
    pub running: bool,
}

/// How one image is deleted.
#[derive(Clone, Copy)]
struct Deletion<'a> {
    force: bool,
    /// With its nameless unused parents.
    parents: bool,
    /// What is still needed stays without a word: its name is gone, and that much was asked for.
    quiet: bool,
    /// Names that go with it.
    names: &'a [Reference],
}

impl ImageStore {
    /// `docker rmi`: removes the name; with its last name, the image; with it, its nameless parents and unused layers.
    /// `uses` tells which containers use an image.
    pub fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        uses: &dyn Fn(&ImageId) -> Vec<Use>,
    ) -> Result<Vec<Removed>> {
        let catalog = self.catalog();
        let id = resolve_in(&catalog, name)?;
        let by_id = is_id_prefix(&id, name) && lookup_name(&catalog, name).is_none_or(|found| *found != id);
        let names = catalog.names(&id);
        // Whoever changes what we hold would have to copy it.
        drop(catalog);
        let mut done = Vec::new();
        if by_id {
            let names = if is_single(&names) { names } else { Vec::new() };
            let RemoveOptions { force, no_prune } = options;
            let how = Deletion { force, parents: !no_prune, quiet: false, names: &names };
            self.delete(&id, how, uses, &mut done)?;
        } else {
            self.remove_name(&id, name, options, uses, &mut done)?;
        }
        Ok(done)
    }

    /// Removes a name of an image and, with its last one, the image.
    fn remove_name(
        &self,
        id: &ImageId,
        name: &str,
        options: RemoveOptions,
        uses: &dyn Fn(&ImageId) -> Vec<Use>,
        done: &mut Vec<Removed>,
    ) -> Result<()> {
        if !self.untag_one(id, name, options, uses, done)? {
            return Ok(());
        }
        let RemoveOptions { force, no_prune } = options;
        let how = Deletion { force, parents: !no_prune, quiet: true, names: &[] };
        self.delete(id, how, uses, done)
    }

    /// What a prune does with an image that has no name, or with one of its names, as it saw them: neither a name that it got
    /// meanwhile nor another image that has the name now is touched.
    pub(crate) fn prune_one(
        &self,
        id: &ImageId,
        name: Option<&Reference>,
        uses: &dyn Fn(&ImageId) -> Vec<Use>,
    ) -> Result<Vec<Removed>> {
        let mut done = Vec::new();
        match name {
            Some(name) => {
                self.remove_name(id, &name.to_string(), RemoveOptions::default(), uses, &mut done)?;
            }
            None => {
                let how = Deletion { force: false, parents: true, quiet: false, names: &[] };
                self.delete(id, how, uses, &mut done)?;
            }
        }
        Ok(done)
    }

    /// Removes one name, and the digests of its repository when it was the last tag there. Says whether no name is left.
    fn untag_one(
        &self,
        id: &ImageId,
        name: &str,
        options: RemoveOptions,
        uses: &dyn Fn(&ImageId) -> Vec<Use>,
        done: &mut Vec<Removed>,
    ) -> Result<bool> {
        let names = self.catalog().names(id);
        if !options.force
            && is_single(&names)
            && let Some(user) = uses(id).first()
        {
            return Err(Error::ReferenceInUse {
                name: name.to_owned(),
                container: short(&user.container).to_owned(),
                image: id.short().to_owned(),
            });
        }
        let gone = stored_form(&Reference::parse(name)?);
        let mut doomed = vec![gone.clone()];
        let others = || names.iter().filter(|other| **other != gone && other.name() == gone.name());
        if gone.digest().is_none() && !others().any(|other| other.digest().is_none()) {
            doomed.extend(others().cloned());
        }
        let gone = self.change(|catalog| {
            // One that is another image's by now stays.
            doomed.retain(|name| catalog.named(name) == Some(id));
            let changes = doomed.iter().cloned().map(Change::NoName).collect();
            Ok((doomed, changes))
        })?;
        done.extend(gone.iter().map(|name| Removed::Untagged(name.familiar())));
        Ok(names.iter().all(|name| gone.contains(name)))
    }

    /// Deletes an image and, unless told otherwise, its nameless unused parents.
    fn delete(
        &self,
        id: &ImageId,
        how: Deletion<'_>,
        uses: &dyn Fn(&ImageId) -> Vec<Use>,
        done: &mut Vec<Removed>,
    ) -> Result<()> {
        let catalog = self.catalog();
        if let Err(conflict) = check(&catalog, id, how, uses) {
            let dangling = catalog.names(id).is_empty() && !catalog.has_children(id);
            let used = matches!(&conflict, Error::InUse { used: true, .. });
            return if how.quiet && (!dangling || used) { Ok(()) } else { Err(conflict) };
        }
        drop(catalog);
        let gone = self.change(|catalog| {
            let Some(record) = catalog.record(id).cloned() else { return Ok((None, Vec::new())) };
            // Asked again while nobody changes them: a child or a name that has just come keeps it.
            no_children(catalog, id)?;
            no_other_names(catalog, id, how)?;
            let names = catalog.names(id);
            let mut changes: Vec<Change> = names.iter().cloned().map(Change::NoName).collect();
            changes.push(Change::NoRecord(id.clone()));
            Ok((Some((record, names)), changes))
        });
        let (record, names) = match gone {
            Ok(Some(gone)) => gone,
            Ok(None) => return Ok(()),
            Err(Error::InUse { .. }) if how.quiet => return Ok(()),
            Err(other) => return Err(other),
        };
        self.forget_config(id);
        done.extend(names.iter().map(|name| Removed::Untagged(name.familiar())));
        done.push(Removed::Deleted(id.to_string()));
        self.release_layers(&record, done)?;
        self.release_blobs(id, &record)?;
        match (&record.parent, how.parents) {
            (Some(parent), true) => {
                let how = Deletion { force: false, parents: true, quiet: true, names: &[] };
                self.delete(parent, how, uses, done)
            }
            _ => Ok(()),
        }
    }

    /// Removes the layers no other image has, top first, as far as nothing stands on them.
    fn release_layers(&self, record: &Record, done: &mut Vec<Removed>) -> Result<()> {
        for chain in record.chains().iter().rev() {
            if !self.drop_chain(chain)? {
                break;
            }
            done.push(Removed::Layer(chain.to_string()));
        }
        Ok(())
    }

    /// Removes one layer's snapshot with the init layer on it. `false` if an image has it, something stands on it or holds it.
    fn drop_chain(&self, chain: &ChainId) -> Result<bool> {
        let held = self.inner.holds.lock();
        // Asked under the lock: whoever makes an image holds its layers until the record is there.
        if held.contains_key(chain.as_str()) || self.catalog().has_chain(chain) {
            return Ok(false);
        }
        for name in [init_name(chain.as_str()), chain.to_string()] {
            match self.inner.snapshots.remove(&name) {
                Ok(()) | Err(gantry_snapshots::Error::NotFound(_)) => {}
                Err(gantry_snapshots::Error::HasChildren { .. }) => return Ok(false),
                Err(other) => return Err(other.into()),
            }
        }
        Ok(true)
    }

    fn release_blobs(&self, id: &ImageId, record: &Record) -> Result<()> {
        // A push put packed layers in the place of plain ones, whose blobs it left: whoever read the record before reads them.
        let plain = record.layers.iter().map(|layer| &layer.diff_id.0);
        let mine: HashSet<_> = record.blobs().chain(plain).chain([&id.0]).collect();
        self.inner.content.collect_among(mine, |blob| self.is_needed(blob))?;
        Ok(())
    }

    /// Removes layers and blobs that no image on record needs and nothing stands on, and downloads nobody goes on with:
    /// after a prune, and once at start. Spared is what a keeper names (a build cache), and what came in less than
    /// `spare` ago: a pull that was given up goes on with it. Gives the bytes that came free.
    pub fn sweep(&self, spare: Duration) -> Result<u64> {
        let mut freed = 0;
        loop {
            let mut progress = false;
            for info in self.inner.snapshots.walk()? {
                let name = info.name.strip_suffix("-init").unwrap_or(&info.name);
                let Ok(chain) = ChainId::parse(name) else { continue };
                if info.kind != gantry_snapshots::Kind::Committed {
                    continue;
                }
                let usage = self.inner.snapshots.usage(&info.name).unwrap_or_default();
                if self.drop_chain(&chain)? {
                    freed += usage.bytes;
                    progress = true;
                }
            }
            if !progress {
                break;
            }
        }
        let content = &self.inner.content;
        freed += content.collect(|blob| self.is_needed(blob) || self.is_younger(blob, spare))?.bytes;
        freed += content.forget_ingests(spare)?;
        Ok(freed)
    }

    /// Whether an image on record or a keeper needs a blob now.
    fn is_needed(&self, blob: &gantry_names::Digest) -> bool {
        self.catalog().has_blob(blob) || self.is_kept(blob)
    }

    fn is_younger(&self, blob: &gantry_names::Digest, than: Duration) -> bool {
        // A time in the future is a clock that was set back: young.
        !than.is_zero()
            && self
                .inner
                .content
                .stat(blob)
                .is_ok_and(|info| info.modified.elapsed().map_or(true, |age| age < than))
    }
}

/// Why an image cannot be deleted, if it cannot.
fn check(
    catalog: &Catalog,
    id: &ImageId,
    how: Deletion<'_>,
    uses: &dyn Fn(&ImageId) -> Vec<Use>,
) -> Result<()> {
    no_children(catalog, id)?;
    let users = uses(id);
    if let Some(user) = users.iter().find(|user| user.running) {
        let why = format!("image is being used by running container {}", short(&user.container));
        return conflict(id, true, true, why);
    }
    no_other_names(catalog, id, how)?;
    if let Some(user) = users.iter().find(|user| !how.force && !user.running) {
        let why = format!("image is being used by stopped container {}", short(&user.container));
        return conflict(id, false, true, why);
    }
    Ok(())
}

fn no_children(catalog: &Catalog, id: &ImageId) -> Result<()> {
    match catalog.has_children(id) {
        true => conflict(id, true, false, "image has dependent child images".to_owned()),
        false => Ok(()),
    }
}

fn no_other_names(catalog: &Catalog, id: &ImageId, how: Deletion<'_>) -> Result<()> {
    match !how.force && catalog.names(id).iter().any(|name| !how.names.contains(name)) {
        true => conflict(id, false, false, "image is referenced in multiple repositories".to_owned()),
        false => Ok(()),
    }
}

fn conflict(id: &ImageId, hard: bool, used: bool, why: String) -> Result<()> {
    Err(Error::InUse { image: id.short().to_owned(), hard, used, why })
}

/// The snapshot that containers of an image stand on: the chain's, with the mount points an engine needs.
pub(crate) fn init_name(chain: &str) -> String {
    format!("{chain}-init")
}

fn lookup_name<'a>(catalog: &'a Catalog, name: &str) -> Option<&'a ImageId> {
    catalog.named(&stored_form(&Reference::parse(name).ok()?))
}

/// Whether `name` can be read as this image's id or its beginning.
fn is_id_prefix(id: &ImageId, name: &str) -> bool {
    id.as_str().starts_with(name) || id.hex().starts_with(name)
}

/// At most one tag, and all names in one repository.
fn is_single(names: &[Reference]) -> bool {
    if names.len() <= 1 {
        return names.len() == 1;
    }
    let tags: Vec<_> = names.iter().filter(|name| name.digest().is_none()).collect();
    let repositories: HashSet<_> = names.iter().map(Reference::name).collect();
    tags.len() <= 1 && repositories.len() == 1
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CreateOptions, Filters, PruneOptions};
    use gantry_content::ContentStore;
    use gantry_store::Store;
    use std::sync::Arc;

    /// Whoever holds the catalogue while it changes makes the change copy all of it; then the removal of n images costs n squared.
    #[test]
    fn a_removal_copies_no_catalogue() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let content = ContentStore::open(&folder.path().join("content")).unwrap();
        let snapshots = gantry_snapshots::open("native", folder.path()).unwrap();
        let images = ImageStore::open(store.clone(), content, snapshots).unwrap();
        let image = |n: u32, parent: Option<&ImageId>| {
            let config = serde_json::json!({
                "architecture": "amd64", "os": "linux", "config": { "Labels": { "n": n.to_string() } },
                "rootfs": { "type": "layers", "diff_ids": [] },
            });
            let options = CreateOptions { parent: parent.cloned(), ..CreateOptions::default() };
            let id = images.create(config.to_string().as_bytes(), Vec::new(), &options).unwrap();
            images.set_reference(&Reference::parse(&format!("i{n}")).unwrap(), &id).unwrap();
            id
        };
        let first = image(0, None);
        let ids: Vec<ImageId> = (1..12).map(|n| image(n, (n == 1).then_some(&first))).collect();
        let place = || Arc::as_ptr(&images.catalog());
        let before = place();
        let unused = |_: &ImageId| Vec::new();
        let options = RemoveOptions::default();
        images.remove(ids[0].as_str(), options, &unused).unwrap();
        images.remove(ids[1].short(), options, &unused).unwrap();
        images.remove("i3", options, &unused).unwrap();
        assert_eq!((place(), images.catalog().records().count()), (before, 9));
        let all = Filters { dangling: Some(false), ..Filters::default() };
        let pruned = images.prune(&PruneOptions { filters: all }, &unused).unwrap();
        assert_eq!((place(), images.catalog().records().count(), pruned.removed.len()), (before, 0, 18));
        assert_eq!(*images.catalog(), Catalog::read(&store).unwrap());
    }
}
