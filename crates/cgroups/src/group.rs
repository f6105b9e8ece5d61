//! A container's folder in every hierarchy: made, joined, removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::path::Wanted;
use crate::spec::Resources;
use crate::{Error, Host, Result, files, limits_v1, limits_v2};

/// A container's control group in every hierarchy of the host.
#[derive(Debug, Clone)]
pub struct Cgroup {
    pub(crate) place: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// By hierarchy: its controllers and the folder.
    V1(Vec<(Vec<String>, PathBuf)>),
    V2(PathBuf),
}

/// A [`Cgroup`] on disk: the folder by controller; version 2's is under the empty name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub folders: BTreeMap<String, PathBuf>,
}

/// How long a folder may stay busy after its last process has gone. The kernel is done in a few milliseconds;
/// a machine under load takes longer.
const REMOVE_BUDGET: Duration = Duration::from_secs(5);

impl Cgroup {
    /// Where the group would be: `path` is `linux.cgroupsPath`, `id` names it where that is empty.
    pub fn locate(host: &Host, path: Option<&str>, id: &str) -> Result<Cgroup> {
        let wanted = Wanted::parse(path, id)?;
        let place = match &host.v2 {
            Some(v2) if host.is_unified() => Place::V2(wanted.within(v2)),
            _ => Place::V1(host.v1.iter().map(|h| (h.controllers.clone(), wanted.within(h))).collect()),
        };
        Ok(Cgroup { place })
    }

    /// Makes the folders, inheriting cpuset's processors and memory nodes. What exists is taken as it is.
    /// On an error what was made is removed again.
    pub fn create(&self, host: &Host) -> Result<()> {
        let made = match &self.place {
            Place::V2(folder) => {
                limits_v2::make(&host.v2.as_ref().map(|h| h.mount.clone()).unwrap_or_default(), folder)
            }
            Place::V1(folders) => host.v1.iter().zip(folders).try_for_each(|(h, (names, folder))| {
                make(folder)?;
                if names.iter().any(|n| n == "cpuset") {
                    limits_v1::inherit_cpuset(&h.mount, folder)?;
                }
                Ok(())
            }),
        };
        if made.is_err() {
            for folder in self.folders() {
                // The first cause is what matters; a folder that others fill stays theirs.
                let _ = fs::remove_dir(folder);
            }
        }
        made
    }

    /// The group that [`Cgroup::save`] wrote down.
    pub fn restore(saved: &Saved) -> Cgroup {
        if let Some(folder) = saved.folders.get("") {
            return Cgroup { place: Place::V2(folder.clone()) };
        }
        let mut folders: Vec<(Vec<String>, PathBuf)> = Vec::new();
        for (name, folder) in &saved.folders {
            match folders.iter_mut().find(|(_, f)| f == folder) {
                Some((names, _)) => names.push(name.clone()),
                None => folders.push((vec![name.clone()], folder.clone())),
            }
        }
        Cgroup { place: Place::V1(folders) }
    }

    /// What to keep on disk.
    pub fn save(&self) -> Saved {
        let folders = match &self.place {
            Place::V2(folder) => BTreeMap::from([(String::new(), folder.clone())]),
            Place::V1(all) => {
                all.iter().flat_map(|(names, f)| names.iter().map(|n| (n.clone(), f.clone()))).collect()
            }
        };
        Saved { folders }
    }

    /// Whether there is a folder at all (a record of a container made without one has none).
    pub fn is_empty(&self) -> bool {
        matches!(&self.place, Place::V1(all) if all.is_empty())
    }

    /// The folder in the hierarchy of this controller of version 1, or version 2's.
    pub fn folder(&self, controller: &str) -> Option<&Path> {
        match &self.place {
            Place::V2(folder) => Some(folder),
            Place::V1(all) => {
                all.iter().find(|(names, _)| names.iter().any(|n| n == controller)).map(|(_, f)| f.as_path())
            }
        }
    }

    /// Every folder, each once.
    pub fn folders(&self) -> Vec<&Path> {
        match &self.place {
            Place::V2(folder) => vec![folder],
            Place::V1(all) => all.iter().map(|(_, f)| f.as_path()).collect(),
        }
    }

    /// Version 2's folder, opened so that a process can be born in it.
    pub fn birthplace(&self, sub: Option<&str>) -> Result<Option<OwnedFd>> {
        use rustix::fs::{Mode, OFlags};
        let Place::V2(folder) = &self.place else { return Ok(None) };
        let folder = below(folder, sub)?;
        rustix::fs::open(&folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map(Some)
            .map_err(|e| Error::Io { what: format!("failed to open {}", folder.display()), cause: e.into() })
    }

    /// Puts a process into the group.
    pub fn join(&self, pid: i32, sub: Option<&str>) -> Result<()> {
        let pid = pid.to_string();
        self.folders().into_iter().try_for_each(|f| files::write(&below(f, sub)?, "cgroup.procs", &pid))
    }

    /// Puts the calling process, which has one thread, into the group.
    ///
    /// In version 1 a thread that moves itself needs none of the kernel's global locks; moving a process by its number
    /// waits for an RCU grace period, several milliseconds (cgroup_procs_write_start in kernel/cgroup/cgroup.c).
    pub fn join_self(&self, sub: Option<&str>) -> Result<()> {
        let file = match self.place {
            Place::V1(_) => "tasks",
            Place::V2(_) => "cgroup.procs",
        };
        self.folders().into_iter().try_for_each(|f| files::write(&below(f, sub)?, file, "0"))
    }

    /// Sets limits; answers in sentences what this host cannot do and the container can live without.
    pub fn set(&self, resources: &Resources) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        match &self.place {
            Place::V1(_) => limits_v1::set(self, resources, &mut warnings)?,
            Place::V2(folder) => limits_v2::set(folder, resources, &mut warnings)?,
        }
        Ok(warnings)
    }

    /// Every process of the group and of the groups below, as seen from here.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let Some(folder) = self.folder("devices").or_else(|| self.folders().first().copied()) else {
            return Ok(Vec::new());
        };
        let mut pids = Vec::new();
        for folder in files::tree(folder) {
            pids.extend(files::pids_of(&folder)?);
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// Removes the folders and what is below. Waits for processes that are just going; fails when some stay.
    /// What is gone already is no error.
    pub fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + REMOVE_BUDGET;
        self.folders().into_iter().try_for_each(|folder| remove(folder, deadline))
    }
}

fn make(folder: &Path) -> Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(_) => {}
    }
    fs::create_dir_all(folder)
        .map_err(|cause| Error::Io { what: format!("failed to make cgroup {}", folder.display()), cause })
}

fn below(folder: &Path, sub: Option<&str>) -> Result<PathBuf> {
    match sub {
        None => Ok(folder.to_path_buf()),
        Some(sub) if Path::new(sub).components().any(|c| c == std::path::Component::ParentDir) => {
            Err(Error::Invalid(format!("bad sub cgroup path: {sub}")))
        }
        Some(sub) => Ok(folder.join(sub.trim_start_matches('/'))),
    }
}

fn remove(folder: &Path, deadline: Instant) -> Result<()> {
    let mut pause = Duration::from_micros(100);
    loop {
        let failed = match rustix::fs::unlinkat(rustix::fs::CWD, folder, rustix::fs::AtFlags::REMOVEDIR) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(rustix::io::Errno::BUSY) => {
                let all = files::tree(folder);
                all.iter().find_map(|f| {
                    rustix::fs::unlinkat(rustix::fs::CWD, f, rustix::fs::AtFlags::REMOVEDIR).err()
                })
            }
            Err(e) => Some(e),
        };
        match failed {
            None | Some(rustix::io::Errno::NOENT) => return Ok(()),
            Some(rustix::io::Errno::BUSY) if Instant::now() < deadline => {
                sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            Some(e) => {
                return Err(Error::Io {
                    what: format!("failed to remove cgroup {}", folder.display()),
                    cause: e.into(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_restored() {
        let group = Cgroup {
            place: Place::V1(vec![
                (vec!["cpu".into(), "cpuacct".into()], "/c/x".into()),
                (vec!["pids".into()], "/p/x".into()),
            ]),
        };
        let again = Cgroup::restore(&group.save());
        assert_eq!(again.save(), group.save());
        assert_eq!(again.folder("cpuacct"), Some(Path::new("/c/x")));
        assert_eq!(again.folders().len(), 2);
    }
}
