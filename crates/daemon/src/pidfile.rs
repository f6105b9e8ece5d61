//! The file that says which process is the engine.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Removed when dropped.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

/// Why the file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PidFileError {
    #[error("process with PID {pid} is still running; delete {path} if it is another program")]
    Running { pid: u32, path: PathBuf },
    #[error("pidfile {path}: {cause}")]
    Io { path: PathBuf, cause: io::Error },
}

impl PidFile {
    /// Writes our number, unless the one that is there still runs.
    pub(crate) fn write(path: &Path) -> Result<PidFile, PidFileError> {
        let failed = |cause| PidFileError::Io { path: path.to_owned(), cause };
        if let Some(pid) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok())
            && pid != std::process::id()
            && Path::new(&format!("/proc/{pid}")).exists()
        {
            return Err(PidFileError::Running { pid, path: path.to_owned() });
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = fs::File::create(&beside).map_err(failed)?;
        write!(file, "{}", std::process::id()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(err) = fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %err, "removing the pidfile");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_process_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        fs::write(&path, "4194999").unwrap();
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
        fs::write(&path, "1").unwrap();
        assert!(matches!(PidFile::write(&path), Err(PidFileError::Running { pid: 1, .. })));
    }
}
