//! A unix socket: mode 660, a group that may use it, and a file that goes when we go.

use super::ListenError;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// The group Docker uses when none is asked for. It need not exist.
const DEFAULT_GROUP: &str = "docker";

/// A socket's file, by its inode: another engine's file at the same path is not ours to remove.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode);
        if ours && let Err(err) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %err, "removing the socket");
        }
    }
}

/// Listens at a path. A file nobody answers at is left over from a crash and replaced.
pub(crate) fn listen(path: &Path, group: Option<&str>) -> Result<(UnixListener, SocketFile), ListenError> {
    let failed = |cause| ListenError::Socket { address: format!("unix://{}", path.display()), cause };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match StdUnixStream::connect(path) {
        Ok(_) => return Err(ListenError::InUse(path.to_owned())),
        Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)?;
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => return Err(failed(err)),
    }
    // Between bind and chmod the file has the mode that the umask leaves: nobody but us may use that moment.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.map_err(failed)?;
    let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
    let file = SocketFile { path: path.to_owned(), inode };
    match group_id(group.unwrap_or(DEFAULT_GROUP)).map_err(failed)? {
        Some(gid) => chown(path, None, Some(gid)).map_err(failed)?,
        None if group.is_some_and(|g| g != DEFAULT_GROUP && !g.is_empty()) => {
            let group = group.unwrap_or_default().to_owned();
            return Err(ListenError::NoGroup { path: path.to_owned(), group });
        }
        None => tracing::debug!(group = DEFAULT_GROUP, "no such group; the socket is root's alone"),
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok((listener, file))
}

/// A group's number, by number or by name in `/etc/group`.
fn group_id(group: &str) -> io::Result<Option<u32>> {
    if let Ok(gid) = group.parse() {
        return Ok(Some(gid));
    }
    let file = match fs::read_to_string("/etc/group") {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut fields = file.lines().map(|line| line.split(':').collect::<Vec<_>>());
    Ok(fields.find(|f| f.first() == Some(&group)).and_then(|f| f.get(2)?.parse().ok()))
}
