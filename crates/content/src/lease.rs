use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_names::Digest;

/// While it lives, blobs that were committed or touched after it was taken are not collected.
///
/// A lease is in memory only: after a crash nobody holds one, and what no record names is collectable. Who brings in
/// blobs takes a lease first and drops it after the record that names them is written.
#[derive(Debug)]
pub struct Lease {
    table: Arc<Table>,
    born: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.table.lock();
        if let Some(count) = state.live.get_mut(&self.born) {
            *count -= 1;
            if *count == 0 {
                state.live.remove(&self.born);
            }
        }
        // What was touched before the oldest live lease is protected by nobody.
        match state.live.keys().next().copied() {
            Some(oldest) => state.touched.retain(|_, at| *at >= oldest),
            None => state.touched.clear(),
        }
    }
}

/// Who touched what, and since when leases live. Its lock is also what makes "is it there? then keep it" and
/// "nobody needs it, delete it" two deeds that never interleave.
#[derive(Debug, Default)]
pub(crate) struct Table {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    clock: u64,
    live: BTreeMap<u64, usize>,
    touched: HashMap<Digest, u64>,
}

impl State {
    /// Protects `digest` for every lease alive now.
    pub(crate) fn touch(&mut self, digest: &Digest) {
        if !self.live.is_empty() {
            self.clock += 1;
            let now = self.clock;
            self.touched.insert(digest.clone(), now);
        }
    }

    /// Whether a live lease protects `digest`.
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        let Some(oldest) = self.live.keys().next() else { return false };
        self.touched.get(digest).is_some_and(|at| at >= oldest)
    }
}

impl Table {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held leaves at worst a touch too few in memory; the map itself is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lease(self: &Arc<Table>) -> Lease {
        let mut state = self.lock();
        state.clock += 1;
        let born = state.clock;
        *state.live.entry(born).or_insert(0) += 1;
        drop(state);
        Lease { table: Arc::clone(self), born }
    }
}
