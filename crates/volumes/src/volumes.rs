//! All volumes of an engine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gantry_names::ContainerId;
use gantry_store::{Store, Table};
use gantry_sys::tree::remove_dir_all;
use jiff::Timestamp;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::error::io_of;
use crate::fill::Fills;
use crate::volume::is_name;
use crate::{Volume, VolumeError, VolumeFilter, VolumeRequest, local, tree_bytes};

const VOLUMES: Table<String, Volume> = Table::new("volumes");
/// A volume whose row is about to go. A crash before it went brings the volume back.
const REMOVING: &str = ".removing-";
/// What no volume is any more.
const GONE: &str = ".gone-";

/// The volumes below one folder.
pub struct Volumes {
    root: PathBuf,
    store: Store,
    state: Mutex<State>,
    pub(crate) fills: Fills,
}

#[derive(Default)]
struct State {
    all: BTreeMap<String, Volume>,
    /// Containers, running or not, that name a volume.
    holders: HashMap<String, BTreeSet<ContainerId>>,
    /// Running containers of volumes that are mounted by their driver's options.
    mounted: HashMap<String, BTreeSet<ContainerId>>,
}

/// What a prune took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names.
    pub deleted: Vec<String>,
    /// Bytes.
    pub reclaimed: u64,
}

impl Volumes {
    /// Reads the records and finishes what a crash left half done. The second part are records that could not be read.
    pub fn open(root: &Path, store: Store) -> Result<(Volumes, Vec<gantry_store::Damaged>), VolumeError> {
        fs::create_dir_all(root).map_err(io_of("", "make the volumes' folder"))?;
        let listing = store.read(|tx| tx.list(VOLUMES))?;
        let all: BTreeMap<_, _> = listing.rows.into_iter().collect();
        let state = Mutex::new(State { all, ..State::default() });
        let volumes = Volumes { root: root.to_owned(), store, state, fills: Fills::default() };
        for entry in fs::read_dir(root).map_err(io_of("", "read the volumes' folder"))?.flatten() {
            volumes.finish_removal(&entry.file_name().to_string_lossy(), listing.damaged.is_empty())?;
        }
        let names: Vec<String> = volumes.lock().all.keys().cloned().collect();
        for name in names {
            volumes.make_folder(&name)?;
        }
        Ok((volumes, listing.damaged))
    }

    /// Goes on where a removal was cut off, or takes it back. Without a row its folder goes; where rows are `whole`, that is.
    fn finish_removal(&self, folder: &str, whole: bool) -> Result<(), VolumeError> {
        if let Some(name) = folder.strip_prefix(REMOVING)
            && !self.root.join(name).exists()
        {
            if self.lock().all.contains_key(name) {
                return fs::rename(self.root.join(folder), self.root.join(name))
                    .map_err(io_of(name, "bring it back"));
            }
            if !whole {
                return Ok(());
            }
        }
        if folder.starts_with(REMOVING) || folder.starts_with(GONE) {
            // What cannot be removed now is tried again at the next start.
            let _ = remove_dir_all(&self.root.join(folder));
        }
        Ok(())
    }

    fn gone(&self) -> PathBuf {
        self.root.join(format!("{GONE}{}", ContainerId::random()))
    }

    /// What is left of an older volume of this name must not come back as this one.
    fn forget_older(&self, name: &str) -> Result<(), VolumeError> {
        match fs::rename(self.root.join(format!("{REMOVING}{name}")), self.gone()) {
            Ok(()) => sync(&self.root).map_err(io_of(name, "put an older one of that name away")),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(io_of(name, "put an older one of that name away")(err)),
        }
    }

    /// Makes a volume, or gives the one of that name. The flag says whether it is new.
    pub fn create(&self, request: VolumeRequest) -> Result<(Volume, bool), VolumeError> {
        self.make(&mut self.lock(), request)
    }

    /// The same for a container that names it from then on: nobody can remove it in between.
    pub fn take(
        &self,
        request: VolumeRequest,
        container: &ContainerId,
    ) -> Result<(Volume, bool), VolumeError> {
        let mut state = self.lock();
        let made = self.make(&mut state, request)?;
        state.holders.entry(made.0.name.clone()).or_default().insert(container.clone());
        Ok(made)
    }

    fn make(&self, state: &mut State, request: VolumeRequest) -> Result<(Volume, bool), VolumeError> {
        let VolumeRequest { name, driver, labels, options } = request.drawn();
        if !matches!(driver.as_str(), "" | "local") {
            return Err(VolumeError::Driver { name, driver });
        }
        if name.chars().count() == 1 {
            return Err(VolumeError::Short(name));
        }
        if !is_name(&name) {
            return Err(VolumeError::Name(name));
        }
        if let Some(known) = state.all.get(&name) {
            return Ok((known.clone(), false));
        }
        local::validate(&name, &options)?;
        let volume = Volume { name: name.clone(), created: Timestamp::now(), labels, options };
        self.forget_older(&name)?;
        self.store.write(|tx| tx.put(VOLUMES, &name, &volume))?;
        if let Err(err) = self.make_folder(&name) {
            self.store.write_freeing(|tx| tx.remove(VOLUMES, &name))?;
            return Err(err);
        }
        state.all.insert(name, volume.clone());
        Ok((volume, true))
    }

    fn make_folder(&self, name: &str) -> Result<(), VolumeError> {
        let data = self.data_path(name);
        if data.is_dir() {
            return Ok(());
        }
        let folder = self.root.join(name);
        fs::create_dir_all(&data).map_err(io_of(name, "make its folder"))?;
        sync(&folder).and_then(|()| sync(&self.root)).map_err(io_of(name, "make its folder"))
    }

    /// The volume's record.
    pub fn get(&self, name: &str) -> Result<Volume, VolumeError> {
        self.lock().all.get(name).cloned().ok_or_else(|| VolumeError::NotFound(name.to_owned()))
    }

    /// Where its content is: Docker's `Mountpoint`.
    pub fn data_path(&self, name: &str) -> PathBuf {
        self.root.join(name).join("_data")
    }

    /// The wanted volumes by name.
    pub fn list(&self, filter: &VolumeFilter) -> Vec<Volume> {
        let state = self.lock();
        state
            .all
            .values()
            .filter(|volume| filter.matches(volume, state.is_held(&volume.name)))
            .cloned()
            .collect()
    }

    /// How many containers name it.
    pub fn holder_count(&self, name: &str) -> usize {
        self.lock().holders.get(name).map_or(0, BTreeSet::len)
    }

    /// Bytes it takes.
    pub fn bytes(&self, name: &str) -> Result<u64, VolumeError> {
        self.get(name)?;
        tree_bytes(&self.data_path(name)).map_err(io_of(name, "measure it"))
    }

    /// Notes that a container names the volume: it cannot be removed any more. Holding twice is holding once.
    pub fn hold(&self, name: &str, container: &ContainerId) -> Result<Volume, VolumeError> {
        let mut state = self.lock();
        let volume = state.all.get(name).cloned().ok_or_else(|| VolumeError::NotFound(name.to_owned()))?;
        state.holders.entry(name.to_owned()).or_default().insert(container.clone());
        Ok(volume)
    }

    /// The container names none of its volumes any more.
    pub fn release_all(&self, container: &ContainerId) {
        self.lock().holders.retain(|_, holders| {
            holders.remove(container);
            !holders.is_empty()
        });
    }

    /// The path to bind for a container that is about to run; mounts first what the options ask for.
    pub fn mount(&self, name: &str, container: &ContainerId) -> Result<PathBuf, VolumeError> {
        let mut state = self.lock();
        let volume = state.all.get(name).cloned().ok_or_else(|| VolumeError::NotFound(name.to_owned()))?;
        self.unmark(name)?;
        let path = self.data_path(name);
        if local::wants_mount(&volume.options) {
            if state.mounted.get(name).is_none_or(BTreeSet::is_empty) && !local::is_mounted(&path) {
                local::mount(&volume.options, &path)?;
            }
            state.mounted.entry(name.to_owned()).or_default().insert(container.clone());
        }
        Ok(path)
    }

    /// The container does not run any more; the last one's leaving unmounts.
    pub fn unmount(&self, name: &str, container: &ContainerId) -> Result<(), VolumeError> {
        let mut state = self.lock();
        let Some(users) = state.mounted.get_mut(name) else { return Ok(()) };
        users.remove(container);
        if users.is_empty() {
            state.mounted.remove(name);
            local::unmount(&self.data_path(name)).map_err(io_of(name, "unmount it"))?;
        }
        Ok(())
    }

    /// After a restart of the engine, when every container holds its volumes and the running ones have mounted them again:
    /// unmounts what nobody uses, and empties what a crash left half filled.
    pub fn settle(&self) -> Result<(), VolumeError> {
        let names: Vec<String> = self.lock().all.keys().cloned().collect();
        self.finish_fills(names.into_iter())?;
        let state = self.lock();
        for volume in state.all.values().filter(|volume| local::wants_mount(&volume.options)) {
            let path = self.data_path(&volume.name);
            if !state.mounted.contains_key(&volume.name) && local::is_mounted(&path) {
                local::unmount(&path).map_err(io_of(&volume.name, "unmount it"))?;
            }
        }
        Ok(())
    }

    /// A folder (or file) inside a volume, resolved so that it cannot lead out.
    pub fn subpath(&self, name: &str, subpath: &str) -> Result<PathBuf, VolumeError> {
        let path = self.data_path(name);
        let resolve = || -> io::Result<PathBuf> {
            let data = open_folder(&path)?;
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let inner = rustix::fs::openat2(&data, subpath, flags, Mode::empty(), resolve)?;
            let place = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&inner)))?;
            Ok(place)
        };
        resolve()
            .map_err(|cause| VolumeError::Subpath { path: path.join(subpath).display().to_string(), cause })
    }

    /// Removes a volume nobody names. `force` only forgives an absent one.
    pub fn remove(&self, name: &str, force: bool) -> Result<(), VolumeError> {
        let mut state = self.lock();
        if !state.all.contains_key(name) {
            return if force { Ok(()) } else { Err(VolumeError::NotFound(name.to_owned())) };
        }
        if let Some(holders) = state.holders.get(name).filter(|holders| !holders.is_empty()) {
            let users: Vec<&str> = holders.iter().map(ContainerId::as_str).collect();
            return Err(VolumeError::InUse { name: name.to_owned(), users: users.join(", ") });
        }
        local::unmount(&self.data_path(name)).map_err(io_of(name, "unmount it"))?;
        let (own, away) = (self.root.join(name), self.root.join(format!("{REMOVING}{name}")));
        match fs::rename(&own, &away) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(io_of(name, "remove it")(err)),
            _ => {}
        }
        // Were the row gone from the disk before the folder's name, the next volume of that name would have this one's content.
        let written = sync(&self.root)
            .map_err(io_of(name, "remove it"))
            .and_then(|()| Ok(self.store.write_freeing(|tx| tx.remove(VOLUMES, &name.to_owned()))?));
        if let Err(err) = written {
            // It is a volume still; what cannot be undone now is undone by the next start.
            let _ = fs::rename(&away, &own);
            return Err(err);
        }
        state.all.remove(name);
        // Under a name of its own, so that whoever makes the next volume of that name is not in the way.
        let gone = self.gone();
        let gone = if fs::rename(&away, &gone).is_ok() { gone } else { away };
        drop(state);
        match remove_dir_all(&gone) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(io_of(name, "remove its content")(err)),
            _ => Ok(()),
        }
    }

    /// Removes every wanted volume nobody names: anonymous ones, and with `all` the named too.
    pub fn prune(&self, filter: &VolumeFilter) -> Result<Pruned, VolumeError> {
        let mut pruned = Pruned::default();
        for volume in self.list(filter) {
            if self.holder_count(&volume.name) > 0 || !(filter.takes_named() || volume.is_anonymous()) {
                continue;
            }
            let bytes = self.bytes(&volume.name).unwrap_or(0);
            match self.remove(&volume.name, true) {
                Ok(()) => {
                    pruned.reclaimed += bytes;
                    pruned.deleted.push(volume.name);
                }
                // Somebody took it meanwhile.
                Err(VolumeError::InUse { .. }) => {}
                Err(err) => return Err(err),
            }
        }
        Ok(pruned)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_held(&self, name: &str) -> bool {
        self.holders.get(name).is_some_and(|holders| !holders.is_empty())
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

pub(crate) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
