//! Folders of clients, kept between builds so that only what changed travels.
//!
//! ```text
//! <builder>/kept/<digest of the client's key and the folder's name>-<n>/   the files
//! ```
//!
//! Two builds of one folder at once get two places: what one build reads, no other changes under it. The number of
//! places, their bytes and their age are bounded; those that were used longest ago go. Beside each stands a file of the
//! same name with `.bytes` behind it: what its files weigh.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use gantry_names::Digest;
use gantry_sys::tree::remove_dir_all;

/// Places that are kept.
const PLACES: usize = 24;

/// Bytes of files that are kept, all places together.
const BYTES: u64 = 10 << 30;

/// How long a place is kept that nobody uses.
const AGE: Duration = Duration::from_secs(14 * 24 * 3600);

/// All places.
#[derive(Debug)]
pub(crate) struct Shelf {
    base: PathBuf,
    busy: Mutex<HashSet<PathBuf>>,
}

/// One folder, taken for a build.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where its files begin.
    pub(crate) path: PathBuf,
    /// What is taken of the shelf.
    taken: PathBuf,
    shelf: Arc<Shelf>,
    /// It belongs to no key: it goes with this.
    passing: bool,
    /// Bytes of its files, once they are here.
    weight: AtomicU64,
}

/// The file that says what a place weighs.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("bytes")
}

/// What a place weighs; nothing where nobody has said so.
fn weight(path: &Path) -> u64 {
    std::fs::read_to_string(beside(path)).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl Shelf {
    pub(crate) fn below(folder: &Path) -> Self {
        Self { base: folder.join("kept"), busy: Mutex::default() }
    }

    /// A place for the files that `name` stands for on the client with `key`; without a key, one for this time only.
    pub(crate) fn take(self: &Arc<Self>, key: &str, name: &str) -> std::io::Result<Place> {
        std::fs::create_dir_all(&self.base)?;
        if key.is_empty() {
            let path = tempfile::Builder::new().prefix("once-").tempdir_in(&self.base)?.keep();
            self.busy().insert(path.clone());
            return Ok(Place {
                taken: path.clone(),
                path,
                shelf: Arc::clone(self),
                passing: true,
                weight: AtomicU64::new(0),
            });
        }
        self.tidy(PLACES - 1);
        let stem = Digest::sha256_of(format!("{key}\0{name}").as_bytes());
        let mut busy = self.busy();
        let mut number = 0;
        let path = loop {
            let path = self.base.join(format!("{}-{number}", &stem.hex()[..32]));
            if busy.insert(path.clone()) {
                break path;
            }
            number += 1;
        };
        drop(busy);
        let place = Place {
            taken: path.clone(),
            path,
            shelf: Arc::clone(self),
            passing: false,
            weight: AtomicU64::new(0),
        };
        std::fs::create_dir_all(&place.path)?;
        Ok(place)
    }

    /// Every place that nobody uses: where, how large, used last when.
    pub(crate) fn idle(&self) -> Vec<(PathBuf, SystemTime)> {
        let busy = self.busy().clone();
        let Ok(entries) = std::fs::read_dir(&self.base) else { return Vec::new() };
        let mut idle: Vec<_> = entries
            .filter_map(Result::ok)
            .filter(|entry| !busy.contains(&entry.path()) && entry.path().extension().is_none())
            .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.modified().ok()?)))
            .collect();
        idle.sort_by_key(|(_, used)| *used);
        idle
    }

    /// Removes what was used longest ago until `keep` places are left and they are neither too heavy nor too old.
    pub(crate) fn tidy(&self, keep: usize) {
        let idle = self.idle();
        let mut left = idle.len();
        let mut bytes: u64 = idle.iter().map(|(path, _)| weight(path)).sum();
        for (path, used) in idle {
            let old = used.elapsed().is_ok_and(|age| age > AGE);
            if left > keep || bytes > BYTES || old {
                left -= 1;
                bytes -= weight(&path);
                self.remove(&path);
            }
        }
    }

    /// Removes a place, unless somebody has just taken it.
    pub(crate) fn remove(&self, path: &Path) {
        if !self.busy().insert(path.to_owned()) {
            return;
        }
        if let Err(error) = remove_dir_all(path) {
            tracing::warn!(%error, path = %path.display(), "a kept folder cannot be removed");
        }
        // It may never have been weighed.
        let _weighed = std::fs::remove_file(beside(path)).is_ok();
        self.busy().remove(path);
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Its files are here, and weigh so much.
    pub(crate) fn weighs(&self, bytes: u64) {
        self.weight.store(bytes, Ordering::Relaxed);
    }

    /// It goes at once, whatever it was before.
    pub(crate) fn give_up(mut self) {
        self.passing = true;
        // It may never have been weighed.
        let _weighed = std::fs::remove_file(beside(&self.taken)).is_ok();
    }

    /// Only a folder of it is meant. Links that lead there are its author's, and end inside.
    pub(crate) fn narrow(&mut self, folder: &str) -> std::io::Result<()> {
        let root = gantry_build::files::Root::open(&self.taken).map_err(std::io::Error::other)?;
        let found = root.folder(folder).and_then(|found| found.place());
        self.path = found.map_err(|error| {
            std::io::Error::other(format!("the context has no folder {folder:?}: {error}"))
        })?;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let bytes = self.weight.load(Ordering::Relaxed);
        // A folder that never was whole weighs nothing that anybody knows, and would be kept for it.
        let whole = bytes > 0 || beside(&self.taken).exists();
        if self.passing || !whole {
            if let Err(error) = remove_dir_all(&self.taken) {
                tracing::warn!(%error, path = %self.taken.display(), "a folder of a build cannot be removed");
            }
        } else if let Ok(folder) = std::fs::File::open(&self.taken)
            && let Err(error) = folder.set_modified(SystemTime::now())
        {
            tracing::debug!(%error, "when a folder was used is not known");
        }
        if !self.passing
            && bytes > 0
            && let Err(error) = std::fs::write(beside(&self.taken), bytes.to_string())
        {
            tracing::debug!(%error, "what a folder weighs is not known");
        }
        self.shelf.busy().remove(&self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_builds_at_once_have_two_places_and_the_next_one_finds_its_files() {
        let base = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::below(base.path()));
        let one = shelf.take("key", "context").unwrap();
        let two = shelf.take("key", "context").unwrap();
        assert_ne!(one.path, two.path);
        std::fs::write(one.path.join("f"), "x").unwrap();
        one.weighs(1);
        let kept = one.path.clone();
        drop((one, two));
        assert!(shelf.take("key", "context").unwrap().path.join("f").exists());
        assert_ne!(shelf.take("key", "other").unwrap().path, kept);
        let once = shelf.take("", "context").unwrap();
        let path = once.path.clone();
        drop(once);
        assert!(!path.exists());
        // Cut off before all of it was here, it goes as well.
        let cut = shelf.take("other", "context").unwrap();
        std::fs::write(cut.path.join("half"), "x").unwrap();
        let path = cut.path.clone();
        drop(cut);
        assert!(!path.exists());
    }

    /// CVE-2026-33748: the folder that is meant of a repository is a link, or stands behind one.
    #[test]
    fn a_context_does_not_begin_where_a_link_leads_out() {
        let base = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(outside.path().join("sub")).unwrap();
        let shelf = Arc::new(Shelf::below(base.path()));
        let mut place = shelf.take("", "remote").unwrap();
        let root = place.path.canonicalize().unwrap();
        let away = outside.path().to_str().unwrap();
        // Inside there is a folder of the very name that the link's goal has outside.
        let twin = root.join(away.trim_start_matches('/')).join("sub");
        std::fs::create_dir_all(&twin).unwrap();
        for (name, goal) in [("link", away.to_owned()), ("up", format!("{}{away}", "../".repeat(20)))] {
            std::os::unix::fs::symlink(goal, root.join(name)).unwrap();
        }
        for folder in ["link/sub", "/up/sub/"] {
            place.narrow(folder).unwrap();
            assert_eq!(place.path, twin, "{folder}");
        }
        assert!(place.narrow("link/none").is_err());
        place.narrow("").unwrap();
        assert_eq!(place.path, root);
    }

    #[test]
    fn the_number_of_places_is_bounded() {
        let base = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::below(base.path()));
        for key in 0..40 {
            shelf.take(&format!("k{key}"), "context").unwrap().weighs(1);
        }
        assert!(shelf.idle().len() <= PLACES);
        let heavy = shelf.take("heavy", "context").unwrap();
        heavy.weighs(BYTES + 1);
        drop(heavy);
        drop(shelf.take("next", "context").unwrap());
        assert!(shelf.idle().len() <= 1);
    }
}
