//! How a process ended, and where that is written down.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bundle;

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The code a shell would show: the process' own, or 128 + signal.
    pub code: i32,
    /// The signal that ended it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// When, in nanoseconds since 1970 (UTC).
    pub at_ns: i64,
    /// Whether the kernel killed something in the container for want of memory.
    #[serde(default)]
    pub oom: bool,
}

/// An exit record that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ExitError {
    /// The disk's fault.
    #[error("exit record")]
    Io(#[from] io::Error),
    /// The file is there but is no exit record: it is damaged.
    #[error("exit record is damaged")]
    Damaged(#[from] serde_json::Error),
}

impl ExitRecord {
    /// Writes the record of a bundle: beside, fsync, rename, fsync of the folder. Once this returns, the exit is
    /// known even if the machine's power fails.
    pub fn write(&self, bundle: &Path) -> Result<(), ExitError> {
        let beside = bundle.join(bundle::EXIT_BESIDE);
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&beside, bundle.join(bundle::EXIT))?;
        File::open(bundle)?.sync_all()?;
        Ok(())
    }

    /// Reads the record of a bundle; `None` when nothing ended there yet.
    pub fn read(bundle: &Path) -> Result<Option<ExitRecord>, ExitError> {
        match fs::read(bundle.join(bundle::EXIT)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let bundle = tempfile::tempdir().unwrap();
        assert_eq!(ExitRecord::read(bundle.path()).unwrap(), None);
        let record = ExitRecord { code: 137, signal: Some(9), at_ns: 1_700_000_000_123_456_789, oom: true };
        record.write(bundle.path()).unwrap();
        assert_eq!(ExitRecord::read(bundle.path()).unwrap(), Some(record));
        assert!(!bundle.path().join(bundle::EXIT_BESIDE).exists());
    }

    #[test]
    fn a_damaged_record_is_told_not_taken_for_absent() {
        let bundle = tempfile::tempdir().unwrap();
        std::fs::write(bundle.path().join(bundle::EXIT), b"{\"code\":1").unwrap();
        assert!(matches!(ExitRecord::read(bundle.path()), Err(ExitError::Damaged(_))));
    }
}
