//! Where snapshots lie on disk, and their records. Both drivers keep their snapshots on a shelf.
//!
//! ```text
//! <root>/version           "1"
//! <root>/<id>/meta.json    the record; a directory without one, or with an empty one, was never finished, or is half removed
//! <root>/<id>/fs/          the snapshot's own files
//! <root>/<id>/work/        overlay's work directory, active snapshots only
//! <root>/<id>/unsynced     a symlink to this boot's id: the files of this committed snapshot may not be on the disk yet
//! ```
//!
//! A committed snapshot can be made again by whoever committed it (a layer, from its blob), and waiting for the disk at every
//! layer is dear. So a large one is told committed at once and written to the disk in the background; when the machine went
//! down before that was done (the link names another boot), the snapshot is gone at the next open, whatever stands on
//! it: its name is looked for again when it is there again.
//!
//! Ids are short (base 36), because a mount of many layers names all of them in one page of options.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use gantry_sys::tree::remove_dir_all;

use crate::row::{META, Row, replace_meta, some_bytes, write_meta};
use crate::sync::{Syncer, boot_id, sync_dir, sync_tree};
use crate::{Error, Info, Kind, Result, Usage, measure, mount};

const VERSION: &str = "1";
pub(crate) const UNSYNCED: &str = "unsynced";
/// Up to so many files are synced one by one; the whole file system, with everybody's data, is not waited for.
const FEW: u64 = 64;

#[derive(Debug)]
pub(crate) struct Shelf {
    root: PathBuf,
    state: Mutex<State>,
    syncer: Syncer,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<String, Row>,
    /// The names of the snapshots that stand on one.
    children: HashMap<String, BTreeSet<String>>,
    /// Names being made or committed right now, with the parent they stand on: both are taken.
    pending: HashMap<String, Option<String>>,
    next: u64,
    damaged: Vec<PathBuf>,
}

/// A name that is taken until this is dropped or became a row.
pub(crate) struct Claim<'a> {
    shelf: &'a Shelf,
    name: String,
    pub(crate) id: String,
}

impl Shelf {
    /// Opens the shelf; what was never finished is removed.
    pub(crate) fn open(root: &Path) -> Result<Shelf> {
        fs::DirBuilder::new().recursive(true).mode(0o711).create(root).map_err(Error::io("making", root))?;
        let root = root.canonicalize().map_err(Error::io("finding", root))?;
        check_version(&root)?;
        let mut state = State::default();
        let mut unsynced_dirs = Vec::new();
        for entry in fs::read_dir(&root).map_err(Error::io("listing", &root))? {
            let entry = entry.map_err(Error::io("listing", &root))?;
            let id = entry.file_name().to_string_lossy().into_owned();
            let Ok(number) = u64::from_str_radix(&id, 36) else { continue };
            if !entry.path().is_dir() {
                continue;
            }
            state.next = state.next.max(number + 1);
            let unsynced = fs::read_link(entry.path().join(UNSYNCED)).ok();
            if unsynced.as_ref().is_some_and(|boot| boot.as_os_str() != boot_id().as_str()) {
                // The record goes first, as in every removal.
                let _ = fs::remove_file(entry.path().join(META));
                remove_dir_all(&entry.path()).map_err(Error::io("removing", &entry.path()))?;
                continue;
            }
            if unsynced.is_some() {
                unsynced_dirs.push(entry.path());
            }
            match fs::read(entry.path().join(META)).and_then(some_bytes) {
                Ok(bytes) => match serde_json::from_slice::<Row>(&bytes) {
                    Ok(row) => {
                        state.insert(Row { id, ..row });
                    }
                    // Files may be dear to somebody; only the record is lost. It is told, not thrown away.
                    Err(_) => state.damaged.push(entry.path()),
                },
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    remove_dir_all(&entry.path()).map_err(Error::io("removing", &entry.path()))?;
                }
                Err(e) => return Err(Error::io("reading", &entry.path())(e)),
            }
        }
        let shelf = Shelf { syncer: Syncer::new(&root), root, state: Mutex::new(state) };
        unsynced_dirs.into_iter().for_each(|dir| shelf.syncer.push(dir));
        Ok(shelf)
    }

    /// Makes what is in the directory of a snapshot that is about to be committed outlast a power cut: at once if it is little,
    /// else in the background.
    pub(crate) fn persist(&self, id: &str, usage: Usage) -> Result<()> {
        let own = self.fs(id);
        if usage.inodes <= FEW {
            return sync_tree(&own);
        }
        let mark = self.dir(id).join(UNSYNCED);
        match std::os::unix::fs::symlink(boot_id(), &mark) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io("marking", &mark)(e)),
            _ => Ok(()),
        }
    }

    /// Has what is in the directory of a snapshot written to the disk, and waits for it.
    pub(crate) fn sync(&self, id: &str) -> Result<()> {
        let own = self.fs(id);
        if measure::usage(&own)?.inodes <= FEW { sync_tree(&own) } else { mount::sync(&self.root) }
    }

    /// To be called when the snapshot is on record.
    pub(crate) fn persist_later(&self, id: &str) {
        if fs::symlink_metadata(self.dir(id).join(UNSYNCED)).is_ok() {
            self.syncer.push(self.dir(id));
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn dir(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    pub(crate) fn fs(&self, id: &str) -> PathBuf {
        self.root.join(id).join("fs")
    }

    pub(crate) fn work(&self, id: &str) -> PathBuf {
        self.root.join(id).join("work")
    }

    pub(crate) fn damaged(&self) -> Vec<PathBuf> {
        self.lock().damaged.clone()
    }

    pub(crate) fn get(&self, name: &str) -> Result<Row> {
        self.lock().rows.get(name).cloned().ok_or_else(|| Error::NotFound(name.to_owned()))
    }

    pub(crate) fn walk(&self) -> Vec<Info> {
        self.lock().rows.values().map(Row::info).collect()
    }

    /// The committed ancestors of a snapshot with parent `parent`, nearest first.
    pub(crate) fn ancestors(&self, parent: Option<&str>) -> Result<Vec<Row>> {
        let state = self.lock();
        let mut found = Vec::new();
        let mut next = parent.map(str::to_owned);
        while let Some(name) = next.take() {
            let row = state.rows.get(&name).ok_or(Error::NotFound(name))?;
            next.clone_from(&row.parent);
            found.push(row.clone());
        }
        Ok(found)
    }

    /// Takes a free name for a new snapshot on `parent`, with an empty directory for it.
    pub(crate) fn claim(&self, name: &str, parent: Option<&str>) -> Result<Claim<'_>> {
        let mut state = self.lock();
        state.check_free(name)?;
        state.check_parent(parent)?;
        let id = base36(state.next);
        state.next += 1;
        state.pending.insert(name.to_owned(), parent.map(str::to_owned));
        drop(state);
        let claim = Claim { shelf: self, name: name.to_owned(), id };
        let dir = self.dir(&claim.id);
        fs::DirBuilder::new().mode(0o710).create(&dir).map_err(Error::io("making", &dir))?;
        Ok(claim)
    }

    /// Removes a snapshot that nothing stands on. The record goes first: what is left after a crash is recognised.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.lock();
        let row = state.rows.get(name).cloned().ok_or_else(|| Error::NotFound(name.to_owned()))?;
        if let Some(child) = state.child_of(name) {
            return Err(Error::HasChildren { name: name.to_owned(), child });
        }
        let meta = self.dir(&row.id).join(META);
        match fs::remove_file(&meta) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("removing", &meta)(e));
            }
            _ => {}
        }
        state.remove(name);
        drop(state);
        let dir = self.dir(&row.id);
        remove_dir_all(&dir).map_err(Error::io("removing", &dir))
    }

    /// Begins a commit of the active snapshot `key` as `name` on `parent`: from now on neither can be taken.
    pub(crate) fn claim_commit(&self, name: &str, key: &str, parent: Option<&str>) -> Result<Claim<'_>> {
        let mut state = self.lock();
        let row = state.rows.get(key).ok_or_else(|| Error::NotFound(key.to_owned()))?;
        if row.kind != Kind::Active {
            return Err(Error::NotActive(key.to_owned()));
        }
        let id = row.id.clone();
        state.check_free(name)?;
        state.check_parent(parent)?;
        state.pending.insert(name.to_owned(), parent.map(str::to_owned));
        Ok(Claim { shelf: self, name: name.to_owned(), id })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is one insert or remove; a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_free(&self, name: &str) -> Result<()> {
        if self.rows.contains_key(name) || self.pending.contains_key(name) {
            return Err(Error::Exists(name.to_owned()));
        }
        Ok(())
    }

    fn check_parent(&self, parent: Option<&str>) -> Result<()> {
        let Some(parent) = parent else { return Ok(()) };
        match self.rows.get(parent) {
            None => Err(Error::NotFound(parent.to_owned())),
            Some(row) if row.kind != Kind::Committed => Err(Error::NotCommitted(parent.to_owned())),
            Some(_) => Ok(()),
        }
    }

    fn child_of(&self, name: &str) -> Option<String> {
        let child = self.children.get(name).and_then(BTreeSet::first).cloned();
        child.or_else(|| {
            let pending = self.pending.iter().find(|(_, parent)| parent.as_deref() == Some(name));
            pending.map(|(name, _)| name.clone())
        })
    }

    fn insert(&mut self, row: Row) {
        if let Some(parent) = &row.parent {
            self.children.entry(parent.clone()).or_default().insert(row.name.clone());
        }
        self.rows.insert(row.name.clone(), row);
    }

    fn remove(&mut self, name: &str) {
        let Some(parent) = self.rows.remove(name).and_then(|row| row.parent) else { return };
        if let Some(children) = self.children.get_mut(&parent) {
            children.remove(name);
            if children.is_empty() {
                self.children.remove(&parent);
            }
        }
    }
}

impl Claim<'_> {
    /// Writes the record: from here on the snapshot is there.
    pub(crate) fn settle(
        self,
        kind: Kind,
        parent: Option<&str>,
        usage: Option<Usage>,
        replaces: Option<&str>,
    ) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let row = Row {
            name: self.name.clone(),
            kind,
            parent: parent.map(str::to_owned),
            created_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            usage,
            id: self.id.clone(),
        };
        let dir = self.shelf.dir(&self.id);
        let written = if replaces.is_some() { replace_meta(&dir, &row) } else { write_meta(&dir, &row) };
        if let Err(error) = written {
            if replaces.is_none() {
                self.undo();
            }
            return Err(error);
        }
        if kind == Kind::Committed {
            sync_dir(&self.shelf.root)?;
        }
        let mut state = self.shelf.lock();
        if let Some(key) = replaces {
            state.remove(key);
        }
        state.insert(row);
        Ok(())
    }

    /// Takes back what was made for a snapshot that did not come to be.
    pub(crate) fn undo(self) {
        // What resists is recognised by its missing record at the next open.
        let _ = remove_dir_all(&self.shelf.dir(&self.id));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.shelf.lock().pending.remove(&self.name);
    }
}

fn check_version(root: &Path) -> Result<()> {
    let path = root.join("version");
    match fs::read_to_string(&path) {
        Ok(found) if found.trim() == VERSION => Ok(()),
        // The power failed while an engine that did not force it to the disk had just made it.
        Ok(found) if found.is_empty() => write_version(root, &path),
        Ok(found) => {
            Err(Error::Version { path: root.to_owned(), found: found.trim().to_owned(), expected: VERSION })
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => write_version(root, &path),
        Err(e) => Err(Error::io("reading", &path)(e)),
    }
}

fn write_version(root: &Path, path: &Path) -> Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new).map_err(Error::io("making", &new))?;
    file.write_all(format!("{VERSION}\n").as_bytes()).map_err(Error::io("writing", &new))?;
    file.sync_all().map_err(Error::io("syncing", &new))?;
    fs::rename(&new, path).map_err(Error::io("renaming", &new))?;
    sync_dir(root)
}

fn base36(mut n: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut text = Vec::new();
    loop {
        text.push(char::from(DIGITS[(n % 36) as usize]));
        n /= 36;
        if n == 0 {
            return text.iter().rev().collect();
        }
    }
}
