//! A signal for every process of a group.

use gantry_sys::signals;

use crate::group::Place;
use crate::{Cgroup, Error, Result, files};

const SIGKILL: i32 = 9;

impl Cgroup {
    /// Sends the signal to every process, also to those born meanwhile.
    pub fn signal_all(&self, signal: i32) -> Result<()> {
        if let Place::V2(folder) = &self.place
            && signal == SIGKILL
            && files::write_raw(folder, "cgroup.kill", "1").is_ok()
        {
            return Ok(());
        }
        let pids = self.processes()?;
        if pids.is_empty() {
            return Ok(());
        }
        // One process is signalled as it is; more of them could make new ones behind our back.
        let frozen = pids.len() > 1 && !self.is_frozen()? && self.freeze().is_ok();
        let sent = self.processes().and_then(|pids| {
            pids.into_iter().try_for_each(|pid| match signals::kill(pid, signal) {
                Err(e) if e.raw_os_error() != Some(3) => {
                    Err(Error::Io { what: format!("failed to signal process {pid}"), cause: e })
                }
                _ => Ok(()),
            })
        });
        // A frozen process of version 1 dies only once it is thawed.
        let thawed = if frozen || (signal == SIGKILL && self.is_frozen()?) { self.thaw() } else { Ok(()) };
        sent.and(thawed)
    }
}
