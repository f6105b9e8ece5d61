//! The record of a snapshot, and the file it is in.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::sync::sync_dir;
use crate::{Error, Info, Kind, Result, Usage};

pub(crate) const META: &str = "meta.json";
const META_NEW: &str = "meta.new";

/// What `meta.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    pub(crate) created_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    #[serde(skip)]
    pub(crate) id: String,
}

impl Row {
    pub(crate) fn info(&self) -> Info {
        Info {
            name: self.name.clone(),
            kind: self.kind,
            parent: self.parent.clone(),
            created: UNIX_EPOCH + Duration::from_millis(self.created_ms),
        }
    }
}

/// An empty record is one that was being written when the machine went down.
pub(crate) fn some_bytes(bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
    if bytes.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(bytes) }
}

/// Writes the record of a new snapshot. Where the machine goes down meanwhile it is empty or not there, and the snapshot was never
/// finished: nobody was told of it. So the file needs no other name first, and the disk is waited for once.
pub(crate) fn write_meta(dir: &Path, row: &Row) -> Result<()> {
    write_row(&dir.join(META), row)?;
    sync_dir(dir)
}

/// Writes another record in the place of one.
pub(crate) fn replace_meta(dir: &Path, row: &Row) -> Result<()> {
    let (new, meta) = (dir.join(META_NEW), dir.join(META));
    write_row(&new, row)?;
    fs::rename(&new, &meta).map_err(Error::io("renaming", &new))?;
    sync_dir(dir)
}

fn write_row(path: &Path, row: &Row) -> Result<()> {
    let bytes = serde_json::to_vec(row).map_err(|e| Error::io("writing", path)(std::io::Error::other(e)))?;
    let mut file = File::create(path).map_err(Error::io("making", path))?;
    file.write_all(&bytes).map_err(Error::io("writing", path))?;
    file.sync_all().map_err(Error::io("syncing", path))
}
