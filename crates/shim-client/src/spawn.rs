//! Spawning: bundle's files, one `posix_spawn`, one answer.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use gantry_names::ContainerId;
use gantry_shim_protocol::{ExitError, ExitRecord, Response, ShimConfig, bundle};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::binary::Binary;
use crate::connection::Connection;
use crate::shim::Shim;
use crate::{ShimError, SpawnError};

/// How much of a dead shim's last words is told.
const LAST_WORDS: u64 = 2048;

/// What a shim's allocator is told: give back what is free. There is one shim per container, and it sleeps; this halves
/// what it keeps while it does.
const ALLOCATOR: &str = "glibc.malloc.trim_threshold=8192:glibc.malloc.top_pad=0:\
                         glibc.malloc.mmap_threshold=32768:glibc.malloc.tcache_count=0";

/// All shims of one engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shims {
    binary: Arc<Binary>,
    exec_root: Arc<Path>,
}

impl Shims {
    /// Takes a sealed copy of the shim's program, once. `exec_root` is where the bundles are.
    pub fn new(shim_binary: &Path, exec_root: &Path) -> io::Result<Shims> {
        Shims::sealed(Binary::seal(File::open(shim_binary)?)?, exec_root)
    }

    /// The same with a program that is in memory already.
    pub fn from_bytes(shim_binary: &[u8], exec_root: &Path) -> io::Result<Shims> {
        Shims::sealed(Binary::seal(shim_binary)?, exec_root)
    }

    fn sealed(binary: Binary, exec_root: &Path) -> io::Result<Shims> {
        fs::DirBuilder::new().recursive(true).mode(0o711).create(exec_root)?;
        // A shim lives in its bundle: names that are only true here would mislead it.
        let exec_root = fs::canonicalize(exec_root)?;
        Ok(Shims { binary: Arc::new(binary), exec_root: exec_root.into() })
    }

    /// Where a container's bundle is, whether or not it is there.
    pub fn bundle(&self, id: &ContainerId) -> PathBuf {
        self.exec_root.join(id.as_str())
    }

    /// Makes the bundle and its shim, which creates the container (and starts it, when `config.start`).
    ///
    /// `spec` is the text of the OCI `config.json`. An exit record of an earlier life is removed first. When this
    /// fails, no process, cgroup or mount of the container is left.
    pub async fn spawn(&self, bundle: &Path, config: &ShimConfig, spec: &[u8]) -> Result<Shim, SpawnError> {
        let log = write_bundle(bundle, config, spec).map_err(SpawnError::Bundle)?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(SpawnError::Execute)?;
        ours.set_nonblocking(true).map_err(SpawnError::Execute)?;
        let ours = UnixStream::from_std(ours).map_err(SpawnError::Execute)?;
        let mut command = self.command(bundle);
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(log);
        reap(command.spawn().map_err(SpawnError::Execute)?);
        // The child's end must be closed here, or its death would go unnoticed.
        drop(command);

        let why = match Connection::inherit(ours).await {
            Ok((connection, Response::Started { pid })) => return Ok(Shim::new(bundle, connection, pid)),
            Ok((_, Response::Failed(failure))) => return Err(SpawnError::Failed(failure)),
            Ok((_, other)) => format!("it answered {other:?}"),
            Err(ShimError::Gone) => last_words(bundle),
            Err(err) => gantry_errdefs::chain(&err),
        };
        // One that was killed took nothing back.
        Err(SpawnError::Died(match self.clean(bundle).await {
            Ok(_) => why,
            Err(err) => format!("{why}; and what it left is still there: {err}"),
        }))
    }

    /// Kills and removes what a killed shim left: processes, cgroup, runtime state. Writes an exit record if there
    /// is none (code 137, killed) and returns it. Does nothing to a container whose shim lives, nor where there is no bundle:
    /// the host was started anew.
    pub async fn clean(&self, bundle: &Path) -> Result<Option<ExitRecord>, SpawnError> {
        if !bundle.exists() {
            return Ok(None);
        }
        let mut command = self.command(bundle);
        command.arg("--clean").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let done = command.output().await.map_err(SpawnError::Execute)?;
        if !done.status.success() {
            return Err(SpawnError::Died(String::from_utf8_lossy(&done.stderr).trim().to_owned()));
        }
        match ExitRecord::read(bundle) {
            Ok(record) => Ok(record),
            Err(ExitError::Io(err)) => Err(SpawnError::Bundle(err)),
            Err(ExitError::Damaged(_)) => Ok(None),
        }
    }

    /// Removes a bundle whose container is over. Removing what is not there is fine.
    pub async fn remove(&self, bundle: &Path) -> io::Result<()> {
        let bundle = bundle.to_owned();
        let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(bundle)).await;
        match removed.map_err(io::Error::other)? {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn command(&self, bundle: &Path) -> Command {
        let mut command = Command::new(self.binary.path());
        command.arg0("gantry-shim").arg("--bundle").arg(bundle).env_clear();
        command.env("GLIBC_TUNABLES", ALLOCATOR);
        // A foreign runtime looks for its own tools, and our log's words may be asked for.
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }
}

/// A shim is our child until we die: its end must be collected, or it stays as a zombie.
fn reap(mut child: Child) {
    tokio::spawn(async move { drop(child.wait().await) });
}

fn write_bundle(bundle: &Path, config: &ShimConfig, spec: &[u8]) -> io::Result<File> {
    fs::DirBuilder::new().recursive(true).mode(0o711).create(bundle)?;
    for left in [bundle::EXIT, bundle::EXIT_BESIDE, bundle::SOCKET, bundle::PID] {
        match fs::remove_file(bundle.join(left)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
    }
    write_private(&bundle.join(bundle::CONFIG), spec)?;
    write_private(&bundle.join(bundle::SHIM_CONFIG), &serde_json::to_vec(config)?)?;
    OpenOptions::new().create(true).append(true).mode(0o600).open(bundle.join(bundle::LOG))
}

/// Environments hold secrets: nobody else reads a bundle's files.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, bytes)
}

fn last_words(bundle: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(bundle.join(bundle::LOG))?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(LAST_WORDS)))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    };
    read().unwrap_or_default()
}
