//! Stopping every process of a group where it stands, and letting them go on.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::files::{keyed, read, write};
use crate::group::Place;
use crate::{Cgroup, Error, Result};

/// A process that is inside the kernel freezes when it comes out of it.
const FREEZE_BUDGET: Duration = Duration::from_secs(5);

impl Cgroup {
    /// Freezes and returns when everything stands. A group that cannot be frozen whole is thawed again.
    pub fn freeze(&self) -> Result<()> {
        let folder = self.freezer()?;
        self.ask(folder, true)?;
        let deadline = Instant::now() + FREEZE_BUDGET;
        let mut pause = Duration::from_micros(20);
        while !self.stands(folder)? {
            if Instant::now() > deadline {
                self.ask(folder, false)?;
                return Err(Error::Unsupported("unable to freeze: a process does not stop".into()));
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
            // Version 1 forgets children born meanwhile unless it is told again.
            if matches!(self.place, Place::V1(_)) {
                self.ask(folder, true)?;
            }
        }
        Ok(())
    }

    /// Undoes [`freeze`](Self::freeze).
    pub fn thaw(&self) -> Result<()> {
        self.ask(self.freezer()?, false)
    }

    /// Whether the group is frozen or about to be.
    pub fn is_frozen(&self) -> Result<bool> {
        let Ok(folder) = self.freezer() else { return Ok(false) };
        match self.place {
            Place::V1(_) => Ok(read(folder, "freezer.state")? != "THAWED"),
            Place::V2(_) => Ok(read(folder, "cgroup.freeze")? == "1"),
        }
    }

    fn freezer(&self) -> Result<&Path> {
        self.folder("freezer").ok_or_else(|| {
            Error::Unsupported("cgroup controller \"freezer\" is not available on this host".into())
        })
    }

    fn ask(&self, folder: &Path, frozen: bool) -> Result<()> {
        match (&self.place, frozen) {
            (Place::V1(_), true) => write(folder, "freezer.state", "FROZEN"),
            (Place::V1(_), false) => write(folder, "freezer.state", "THAWED"),
            (Place::V2(_), true) => write(folder, "cgroup.freeze", "1"),
            (Place::V2(_), false) => write(folder, "cgroup.freeze", "0"),
        }
    }

    fn stands(&self, folder: &Path) -> Result<bool> {
        match self.place {
            Place::V1(_) => Ok(read(folder, "freezer.state")? == "FROZEN"),
            Place::V2(_) => Ok(keyed(&read(folder, "cgroup.events")?, "frozen") == Some(1)),
        }
    }
}
