//! What can go wrong in the store, and how it is told.

use std::path::{Path, PathBuf};

use gantry_errdefs::{Class, Classified};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system beneath failed.
    #[error("metadata store: {0}")]
    Io(#[source] std::io::Error),
    /// The database engine failed.
    #[error("metadata store: {0}")]
    Database(#[source] Box<redb::Error>),
    /// A row does not hold what was written.
    #[error("metadata store: {0}")]
    Damaged(#[from] crate::Damaged),
    /// A value cannot be written as JSON.
    #[error("metadata store: record in {table} cannot be encoded: {cause}")]
    Encode {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// The file was written by a newer program.
    #[error(
        "metadata store: {owner} has schema version {found}, this program knows up to {known}; use a newer program"
    )]
    TooNew {
        /// Whose tables.
        owner: &'static str,
        /// The version on disk.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// The file as a whole is damaged, and no copy of it is as new.
    #[error(
        "metadata store: {path} is damaged: {cause}. Nothing was changed. {kept}",
        path = path.display(),
        kept = kept_hint(path)
    )]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// What does not fit.
        cause: String,
    },
    /// There is no file, though there was one: what it named is not to be taken for unused.
    #[error(
        "metadata store: {path} is missing, but the copy of its last calm end lies beside it: move {kept} there to go on with that, or away to begin anew",
        path = path.display(),
        kept = crate::kept::beside(path).display()
    )]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// It was closed, or the database met an I/O error and could not be opened again.
    #[error("metadata store: closed")]
    Closed,
}

/// Whether the database says that its file does not hold what was written.
pub(crate) fn is_damage(error: &redb::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_) => true,
        redb::Error::Io(io) => matches!(io.kind(), InvalidData | UnexpectedEof),
        _ => false,
    }
}

/// What a person can do about a damaged database.
fn kept_hint(database: &Path) -> String {
    let kept = crate::kept::beside(database);
    match std::fs::metadata(&kept) {
        Ok(_) => format!(
            "The copy of its last calm end lies beside it: move {} there to go on with that, without what was recorded since",
            kept.display()
        ),
        Err(_) => "There is no copy of it yet: bring it back from a backup, or move it away to begin anew"
            .to_owned(),
    }
}

impl StoreError {
    pub(crate) fn unreadable(path: &Path, cause: String) -> StoreError {
        StoreError::Unreadable { path: path.to_owned(), cause }
    }

    /// A change that was lost with another's: the database failed before both were on the disk.
    pub(crate) fn failed_beside(cause: std::io::Error) -> StoreError {
        StoreError::Database(Box::new(redb::Error::Io(cause)))
    }

    /// The file system's own error, if it is one.
    pub(crate) fn io(&self) -> Option<&std::io::Error> {
        match self {
            StoreError::Io(io) => Some(io),
            StoreError::Database(err) => match &**err {
                redb::Error::Io(io) => Some(io),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn is_full_disk(&self) -> bool {
        self.class() == Class::Unavailable && !matches!(self, StoreError::Closed)
    }

    pub(crate) fn is_previous_io(&self) -> bool {
        match self {
            StoreError::Closed => true,
            StoreError::Database(err) => {
                matches!(**err, redb::Error::PreviousIo | redb::Error::DatabaseClosed)
            }
            _ => false,
        }
    }

    pub(crate) fn wants_reopening(&self) -> bool {
        self.is_previous_io()
            || matches!(self, StoreError::Database(err) if matches!(**err, redb::Error::Io(_)))
    }
}

impl Classified for StoreError {
    fn class(&self) -> Class {
        match self {
            StoreError::Io(err) => err.class(),
            StoreError::Database(err) => match &**err {
                redb::Error::Io(io) => io.class(),
                redb::Error::DatabaseAlreadyOpen => Class::Conflict,
                _ => Class::Internal,
            },
            StoreError::Closed => Class::Unavailable,
            StoreError::Damaged(_)
            | StoreError::Unreadable { .. }
            | StoreError::Missing { .. }
            | StoreError::Encode { .. }
            | StoreError::TooNew { .. } => Class::Internal,
        }
    }
}

macro_rules! from_redb {
    ($($kind:ident),+) => {$(
        impl From<redb::$kind> for StoreError {
            fn from(err: redb::$kind) -> StoreError {
                StoreError::Database(Box::new(err.into()))
            }
        }
    )+};
}
from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError, CompactionError);
