//! Every record and name in memory, found by whatever is asked for: what a removal looks at is what it removes, however many
//! images there are.
//!
//! The store has the same rows. They are read once, at the start; whoever changes them goes through [`ImageStore::change`], which
//! writes them first and shows them then.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, PoisonError};

use gantry_names::{ChainId, Digest, ImageId, Reference};
use gantry_store::{Store, StoreError, WriteTx};

use crate::record::{Layer, RECORDS, REFERENCES};
use crate::{ImageStore, Record, Result};

/// One consistent look at all records and names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Catalog {
    records: BTreeMap<ImageId, Arc<Record>>,
    /// By their text, which is their order.
    references: BTreeMap<String, (Reference, ImageId)>,
    /// The texts of an image's names.
    names: HashMap<ImageId, BTreeSet<String>>,
    /// How many images were made from one.
    children: HashMap<ImageId, usize>,
    /// How many images have a chain of layers.
    chains: HashMap<ChainId, usize>,
    /// How often a blob is needed.
    blobs: HashMap<Digest, usize>,
}

/// A row that changes.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Record(ImageId, Record),
    NoRecord(ImageId),
    Name(Reference, ImageId),
    NoName(Reference),
}

impl Catalog {
    /// All rows that can be read.
    pub(crate) fn read(store: &Store) -> std::result::Result<Catalog, StoreError> {
        let (records, references) =
            store.read(|tx| Ok::<_, StoreError>((tx.list(RECORDS)?.rows, tx.list(REFERENCES)?.rows)))?;
        let mut catalog = Catalog::default();
        catalog.apply(records.into_iter().map(|(id, record)| Change::Record(id, record)));
        catalog.apply(references.into_iter().map(|(name, id)| Change::Name(name, id)));
        Ok(catalog)
    }

    /// The records by id.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&ImageId, &Record)> {
        self.records.iter().map(|(id, record)| (id, &**record))
    }

    /// The names in order of their text, with their images.
    pub(crate) fn references(&self) -> impl Iterator<Item = (&Reference, &ImageId)> {
        self.references.values().map(|(name, id)| (name, id))
    }

    /// The tags of the repository `domain/path`, in order of their text.
    pub(crate) fn tags_of<'a>(
        &'a self,
        repository: &str,
    ) -> impl Iterator<Item = (&'a Reference, &'a ImageId)> + use<'a> {
        let beginning = format!("{repository}:");
        let from = self.references.range(beginning.clone()..);
        let tags = from.take_while(move |(text, _)| text.starts_with(&beginning));
        tags.map(|(_, (name, id))| (name, id)).filter(|(name, _)| name.digest().is_none())
    }

    /// The image of a name as it is kept.
    pub(crate) fn named(&self, name: &Reference) -> Option<&ImageId> {
        self.references.get(&name.to_string()).map(|(_, id)| id)
    }

    /// The names of an image: tags first, then digests, each in order of their text.
    pub(crate) fn names(&self, id: &ImageId) -> Vec<Reference> {
        let texts = self.names.get(id).into_iter().flatten();
        let mut names: Vec<Reference> =
            texts.filter_map(|text| self.references.get(text)).map(|(name, _)| name.clone()).collect();
        names.sort_by_key(|name| name.digest().is_some());
        names
    }

    pub(crate) fn record(&self, id: &ImageId) -> Option<&Record> {
        self.records.get(id).map(|record| &**record)
    }

    /// The images whose id begins with these digits.
    pub(crate) fn beginning_with(&self, hex: &str) -> impl Iterator<Item = &ImageId> {
        let first = Digest::from_sha256_hex(&format!("{hex:0<64}")).ok().map(ImageId);
        let from = first.into_iter().flat_map(|first| self.records.range(first..));
        from.map(|(id, _)| id).take_while(move |id| id.hex().starts_with(hex))
    }

    pub(crate) fn has_children(&self, id: &ImageId) -> bool {
        self.children.contains_key(id)
    }

    /// Whether an image on record has this chain of layers.
    pub(crate) fn has_chain(&self, chain: &ChainId) -> bool {
        self.chains.contains_key(chain)
    }

    /// Whether an image on record needs this blob.
    pub(crate) fn has_blob(&self, blob: &Digest) -> bool {
        self.blobs.contains_key(blob)
    }

    /// The layer on record that is this blob.
    pub(crate) fn layer(&self, blob: &Digest) -> Option<&Layer> {
        let layers = || self.records.values().flat_map(|record| &record.layers);
        self.has_blob(blob).then(layers)?.find(|layer| layer.blob == *blob)
    }

    fn apply(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            match change {
                Change::Record(id, record) => {
                    self.forget(&id);
                    self.count(&id, &record, Count::Up);
                    self.records.insert(id, Arc::new(record));
                }
                Change::NoRecord(id) => self.forget(&id),
                Change::Name(name, id) => {
                    self.unname(&name);
                    self.names.entry(id.clone()).or_default().insert(name.to_string());
                    self.references.insert(name.to_string(), (name, id));
                }
                Change::NoName(name) => self.unname(&name),
            }
        }
    }

    fn forget(&mut self, id: &ImageId) {
        if let Some(record) = self.records.remove(id) {
            self.count(id, &record, Count::Down);
        }
    }

    fn unname(&mut self, name: &Reference) {
        let text = name.to_string();
        let Some((_, id)) = self.references.remove(&text) else { return };
        if let Some(texts) = self.names.get_mut(&id) {
            texts.remove(&text);
            if texts.is_empty() {
                self.names.remove(&id);
            }
        }
    }

    /// Counts what a record needs.
    fn count(&mut self, id: &ImageId, record: &Record, how: Count) {
        if let Some(parent) = &record.parent {
            how.of(&mut self.children, parent);
        }
        for blob in record.blobs().chain([&id.0]) {
            how.of(&mut self.blobs, blob);
        }
        for chain in record.chains() {
            how.of(&mut self.chains, &chain);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Up,
    Down,
}

impl Count {
    fn of<K: Eq + Hash + Clone>(self, counts: &mut HashMap<K, usize>, key: &K) {
        match (self, counts.get_mut(key)) {
            (Count::Up, Some(count)) => *count += 1,
            (Count::Up, None) => drop(counts.insert(key.clone(), 1)),
            (Count::Down, Some(1)) => drop(counts.remove(key)),
            (Count::Down, Some(count)) => *count -= 1,
            (Count::Down, None) => {}
        }
    }
}

impl ImageStore {
    /// The records and names as they are now. Whoever holds it for long makes the next change copy it.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.inner.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes rows, one caller at a time: on disk, then for everybody to see.
    pub(crate) fn change<T>(&self, decide: impl FnOnce(&Catalog) -> Result<(T, Vec<Change>)>) -> Result<T> {
        let _one_at_a_time = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, changes) = decide(&self.catalog())?;
        let frees = changes.iter().all(|change| matches!(change, Change::NoRecord(_) | Change::NoName(_)));
        let write = |tx: &WriteTx| changes.iter().try_for_each(|change| put(tx, change));
        let written =
            if frees { self.inner.store.write_freeing(write) } else { self.inner.store.write(write) };
        if let Err(error) = written {
            // A disk that failed may have taken it, or not: what is shown is what would be found after a restart.
            if let Ok(found) = Catalog::read(&self.inner.store) {
                *self.inner.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
            }
            return Err(error.into());
        }
        let mut catalog = self.inner.catalog.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut catalog).apply(changes);
        Ok(value)
    }
}

fn put(tx: &WriteTx, change: &Change) -> std::result::Result<(), StoreError> {
    match change {
        Change::Record(id, record) => tx.put(RECORDS, id, record),
        Change::NoRecord(id) => tx.remove(RECORDS, id).map(drop),
        Change::Name(name, id) => tx.put(REFERENCES, name, id),
        Change::NoName(name) => tx.remove(REFERENCES, name).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;
    use gantry_names::DiffId;
    use proptest::prelude::*;

    fn digest(n: u8) -> Digest {
        Digest::sha256_of(&[n])
    }

    fn record(parent: Option<u8>, layers: &[u8]) -> Record {
        let layer = |n: &u8| Layer {
            diff_id: DiffId(digest(*n)),
            blob: digest(n.wrapping_add(100)),
            media_type: String::new(),
            blob_size: 1,
            size: 1,
        };
        Record {
            parent: parent.map(|n| ImageId(digest(n))),
            layers: layers.iter().map(layer).collect(),
            ..Record::default()
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        let id = || (0u8..6).prop_map(|n| ImageId(digest(n)));
        let name = || {
            const TEXTS: [&str; 4] = ["a:1", "a:2", "a-b:1", "reg.test/a:1"];
            let by_digest = (0u8..2).prop_map(|n| format!("a@{}", digest(n)));
            let text = prop_oneof![proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned), by_digest];
            text.prop_map(|text| Reference::parse(&text).unwrap())
        };
        let record = (proptest::option::of(0u8..6), proptest::collection::vec(0u8..4, 0..4))
            .prop_map(|(parent, layers)| record(parent, &layers));
        prop_oneof![
            (id(), record).prop_map(|(id, record)| Change::Record(id, record)),
            id().prop_map(Change::NoRecord),
            (name(), id()).prop_map(|(name, id)| Change::Name(name, id)),
            name().prop_map(Change::NoName),
        ]
    }

    proptest! {
        /// What is counted change by change is what is counted from the rows.
        #[test]
        fn after_any_changes_it_is_as_if_read_anew(changes in proptest::collection::vec(change(), 0..40)) {
            let mut catalog = Catalog::default();
            catalog.apply(changes);
            let mut anew = Catalog::default();
            anew.apply(catalog.records().map(|(id, record)| Change::Record(id.clone(), record.clone())));
            anew.apply(catalog.references().map(|(name, id)| Change::Name(name.clone(), id.clone())));
            prop_assert_eq!(&catalog, &anew);
            for (name, id) in catalog.references() {
                prop_assert!(catalog.names(id).contains(name));
                prop_assert_eq!(catalog.named(name), Some(id));
            }
        }
    }

    #[test]
    fn names_and_beginnings_are_found() {
        let mut catalog = Catalog::default();
        let ids: Vec<ImageId> = (0..40).map(|n| ImageId(digest(n))).collect();
        catalog.apply(ids.iter().map(|id| Change::Record(id.clone(), Record::default())));
        for hex in ["", "0", "a", "ff", ids[7].hex(), "g"] {
            let mut expected: Vec<_> = ids.iter().filter(|id| id.hex().starts_with(hex)).collect();
            expected.sort();
            assert_eq!(catalog.beginning_with(hex).collect::<Vec<_>>(), expected, "{hex}");
        }
        let names = ["a:2", "a:1", "a-b:1", "a/b:1"].map(|text| Reference::parse(text).unwrap());
        catalog.apply(names.iter().map(|name| Change::Name(name.clone(), ids[0].clone())));
        let by_digest = Reference::parse(&format!("a@{}", digest(1))).unwrap();
        catalog.apply([Change::Name(by_digest.clone(), ids[0].clone())]);
        let tags: Vec<String> =
            catalog.tags_of("docker.io/library/a").map(|(name, _)| name.familiar()).collect();
        assert_eq!(tags, ["a:1", "a:2"]);
        assert_eq!(catalog.names(&ids[0]).last(), Some(&by_digest));
    }
}
