//! Which pairs of categories are taken.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The level of files of containers that are not confined; never drawn.
pub(super) const OF_UNCONFINED: &str = "s0:c1022,c1023";
/// A policy's categories.
const CATEGORIES: u64 = 1024;
/// Half a million pairs: one that is free is found at once, or there are more containers than a machine can have.
const ATTEMPTS: u32 = 1000;

/// Levels of containers that are there, and how many have each: one that was asked for by name may be shared.
#[derive(Debug, Default)]
pub(super) struct Levels(Mutex<HashMap<String, usize>>);

impl Levels {
    /// A pair that nobody has. `None` when none is found.
    pub(super) fn draw(&self) -> Option<String> {
        let mut taken = self.taken();
        (0..ATTEMPTS).find_map(|_| {
            let random = getrandom::u64().ok()?;
            let (one, two) = (random % CATEGORIES, random / CATEGORIES % CATEGORIES);
            let level = format!("s0:c{},c{}", one.min(two), one.max(two));
            let free = one != two && level != OF_UNCONFINED && !taken.contains_key(&level);
            free.then(|| {
                taken.insert(level.clone(), 1);
                level
            })
        })
    }

    /// A level that somebody asked for by name, or has since before.
    pub(super) fn reserve(&self, level: &str) {
        *self.taken().entry(level.to_owned()).or_default() += 1;
    }

    pub(super) fn release(&self, level: &str) {
        let mut taken = self.taken();
        if let Some(users) = taken.get_mut(level) {
            *users -= 1;
            if *users == 0 {
                taken.remove(level);
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_pair_is_drawn_twice_while_it_is_taken() {
        let levels = Levels::default();
        let drawn: HashSet<String> = (0..5000).map(|_| levels.draw().unwrap()).collect();
        assert_eq!(drawn.len(), 5000);
        let one = drawn.iter().next().unwrap();
        levels.reserve(one);
        levels.release(one);
        assert!(levels.taken().contains_key(one), "two had it, one has it still");
        levels.release(one);
        assert!(!levels.taken().contains_key(one));
    }
}
