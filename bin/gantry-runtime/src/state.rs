//! What a container is on disk:
//!
//! ```text
//! <root>/<id>/            the folder itself is the lock (flock)
//!   making                where its cgroup is, from before it is made until there is a state
//!   state.json            Saved, written beside and renamed
//!   seccomp               the compiled profile, for exec
//!   start, result         the gate's FIFOs, until start and delete
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gantry_runtime_lib::{Container, Record, SavedCgroup, Status, forget};
use serde::{Deserialize, Serialize};

use crate::args::Global;

/// `state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Saved {
    pub version: u32,
    pub created: String,
    pub owner: String,
    pub record: Record,
}

/// The layout that this program writes and reads.
pub const VERSION: u32 = 1;
/// What is being made.
const MAKING: &str = "making";

/// A container's folder, held so that nobody else changes the container meanwhile.
#[derive(Debug)]
pub struct Folder {
    pub path: PathBuf,
    _lock: File,
}

/// Letters, digits, `_+-.`: a name that stays one folder.
fn check_id(id: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    if id.is_empty() || id.len() > 1024 || id == "." || id == ".." || !id.chars().all(plain) {
        bail!("invalid container ID format: {id:?}");
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File> {
    let folder = File::open(path)?;
    rustix::fs::flock(folder.as_fd(), rustix::fs::FlockOperation::LockExclusive)?;
    Ok(folder)
}

impl Folder {
    /// Makes the folder; one that exists is a container with that id.
    pub fn make(global: &Global, id: &str) -> Result<Folder> {
        use std::os::unix::fs::DirBuilderExt;
        check_id(id)?;
        let path = global.root.join(id);
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o711);
        let mut made = builder.create(&path);
        if made.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
            builder
                .recursive(true)
                .create(&global.root)
                .with_context(|| format!("mkdir {}", global.root.display()))?;
            made = builder.recursive(false).create(&path);
        }
        match made {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!("container with given ID already exists")
            }
            other => other.with_context(|| format!("mkdir {}", path.display()))?,
        }
        Ok(Folder { _lock: lock(&path)?, path })
    }

    /// The folder of a container that exists.
    pub fn open(global: &Global, id: &str) -> Result<Folder> {
        check_id(id)?;
        let path = global.root.join(id);
        match lock(&path) {
            Ok(held) => Ok(Folder { path, _lock: held }),
            Err(_) if !path.exists() => bail!("container does not exist"),
            Err(e) => Err(e).with_context(|| format!("open {}", path.display())),
        }
    }

    /// Writes the state beside and renames it. The folder lives on a tmpfs: what has to survive is a crash of this
    /// program, not of the machine.
    pub fn save(&self, saved: &Saved) -> Result<()> {
        let beside = self.path.join(".state.json");
        let mut file = File::create(&beside).with_context(|| format!("create {}", beside.display()))?;
        file.write_all(&serde_json::to_vec(saved)?)?;
        fs::rename(&beside, self.path.join("state.json")).context("saving the container's state")?;
        // The state tells more. One that stays harms nobody: `remove` knows it.
        let _ = fs::remove_file(self.path.join(MAKING));
        Ok(())
    }

    /// Writes down what a create that is killed half way would leave, before it is there.
    pub fn intend(&self, cgroup: &SavedCgroup) -> Result<()> {
        fs::write(self.path.join(MAKING), serde_json::to_vec(cgroup)?).context("saving what is to be made")
    }

    /// Takes away what [`intend`](Self::intend) wrote down, and the folder.
    pub fn forget(self) -> Result<()> {
        match fs::read(self.path.join(MAKING)) {
            // Written half, it was read by nobody yet: there is nothing of it.
            Ok(text) => serde_json::from_slice(&text).map_or(Ok(()), |cgroup| forget(&cgroup))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e).context("reading what was to be made"),
        }
        self.remove()
    }

    /// Keeps the compiled seccomp profile; the record needs only its head then.
    pub fn save_seccomp(&self, program: &[u8]) -> Result<()> {
        fs::write(self.path.join("seccomp"), program).context("saving the compiled seccomp profile")
    }

    /// The compiled seccomp profile, when the container has one.
    pub fn seccomp(&self) -> Result<Option<Vec<u8>>> {
        match fs::read(self.path.join("seccomp")) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).context("reading the compiled seccomp profile"),
        }
    }

    /// The state and the container.
    pub fn load(&self) -> Result<(Saved, Container)> {
        let saved = read(&self.path)?;
        let container = Container::attach(saved.record.clone(), Some(&self.path))?;
        Ok((saved, container))
    }

    /// Takes the folder away with everything in it; the state goes last, so that what was killed half way is done again.
    pub fn remove(self) -> Result<()> {
        for name in [MAKING, ".state.json", "seccomp", "start", "result", "state.json"] {
            match fs::remove_file(self.path.join(name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(e).context("removing the state");
                }
                _ => {}
            }
        }
        fs::remove_dir(&self.path).context("removing the state")
    }
}

/// Reads a container's state without holding it.
pub fn read(folder: &Path) -> Result<Saved> {
    let path = folder.join("state.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => bail!("container does not exist"),
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    };
    let saved: Saved = serde_json::from_slice(&text)
        .with_context(|| format!("the state in {} is damaged", path.display()))?;
    if saved.version > VERSION {
        bail!("{} was written by a newer version", path.display());
    }
    Ok(saved)
}

/// `state` and `list` print this.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    pub oci_version: String,
    pub id: String,
    pub pid: i32,
    pub status: &'static str,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    pub created: String,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub annotations: std::collections::BTreeMap<String, String>,
    pub owner: String,
}

/// What a container looks like from outside.
pub fn show(saved: &Saved, container: &Container) -> Result<Shown> {
    let status = container.status()?;
    Ok(Shown {
        oci_version: "1.2.0".into(),
        id: saved.record.id.clone(),
        pid: if status == Status::Stopped { 0 } else { saved.record.pid },
        status: status.as_str(),
        bundle: saved.record.bundle.clone(),
        rootfs: saved.record.rootfs.clone(),
        created: saved.created.clone(),
        annotations: saved.record.annotations.clone(),
        owner: saved.owner.clone(),
    })
}

/// A file with a process's number, written beside and renamed: whoever waits for it never reads half of it.
pub fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let mut beside = path.file_name().unwrap_or_default().to_owned();
    beside.push(".part");
    let beside = path.with_file_name(beside);
    fs::write(&beside, pid.to_string()).with_context(|| format!("write {}", beside.display()))?;
    fs::rename(&beside, path).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_id_stays_one_folder() {
        for good in ["a", "a.b_c-d+e", "..."] {
            assert!(super::check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é"] {
            assert!(super::check_id(bad).is_err(), "{bad}");
        }
    }
}
