//! Plain copies: every snapshot is a whole tree. Works on every file system; where the file system can share blocks
//! (reflinks on btrfs and xfs) it does.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use gantry_archive::{Entry, Kind as Member, PackOptions, Root, Whiteouts, Writer, pack};

use crate::changes::{Before, changes};
use crate::row::Row;
use crate::shelf::Shelf;
use crate::{
    Change, ChangeKind, Error, Info, Kind, PrepareOptions, Result, Rootfs, Snapshotter, Usage, copy, measure,
    mount,
};

/// Snapshots as whole copies.
#[derive(Debug)]
pub struct Native {
    shelf: Shelf,
}

impl Native {
    /// Opens the snapshots below `root`.
    pub fn open(root: &Path) -> Result<Native> {
        Ok(Native { shelf: Shelf::open(root)? })
    }

    /// Records that could not be read at open; their files are left where they are.
    pub fn damaged(&self) -> Vec<PathBuf> {
        self.shelf.damaged()
    }

    fn make(&self, key: &str, parent: Option<&str>, kind: Kind) -> Result<Rootfs> {
        let parents = self.shelf.ancestors(parent)?;
        let claim = self.shelf.claim(key, parent)?;
        let own = self.shelf.fs(&claim.id);
        let made = || -> Result<()> {
            fs::DirBuilder::new().mode(0o755).create(&own).map_err(Error::io("making", &own))?;
            match parents.first() {
                // A view shows the parent itself.
                Some(row) if kind == Kind::Active => {
                    copy::tree(&self.shelf.fs(&row.id), &own)?;
                    // A container that a power cut left with half a copy could not be run, and nothing could make it whole.
                    self.shelf.sync(&claim.id)
                }
                _ => Ok(()),
            }
        };
        if let Err(error) = made() {
            claim.undo();
            return Err(error);
        }
        let rootfs = self.mount_of(kind, &claim.id, &parents);
        claim.settle(kind, parent, None, None)?;
        Ok(rootfs)
    }

    fn mount_of(&self, kind: Kind, id: &str, parents: &[Row]) -> Rootfs {
        let shown = match (kind, parents.first()) {
            (Kind::View, Some(parent)) => self.shelf.fs(&parent.id),
            _ => self.shelf.fs(id),
        };
        Rootfs::Dir { path: shown, read_only: kind != Kind::Active }
    }

    /// The snapshot's own tree and its parent's.
    fn pair(&self, name: &str) -> Result<(Row, Root, Vec<Root>)> {
        let row = self.shelf.get(name)?;
        let open = |id: &str| {
            let path = self.shelf.fs(id);
            Root::open(&path).map_err(Error::io("opening", &path))
        };
        let parents = self.shelf.ancestors(row.parent.as_deref())?;
        let before = parents.first().map(|parent| open(&parent.id)).transpose()?;
        Ok((row.clone(), open(&row.id)?, before.into_iter().collect()))
    }
}

impl Snapshotter for Native {
    fn driver(&self) -> &'static str {
        "native"
    }

    fn status(&self) -> Vec<(String, String)> {
        vec![("Backing Filesystem".to_owned(), mount::filesystem(self.shelf.root()))]
    }

    fn prepare_with(&self, key: &str, parent: Option<&str>, options: &PrepareOptions) -> Result<Rootfs> {
        if options.size.is_some() {
            return Err(Error::NoQuota);
        }
        self.make(key, parent, Kind::Active)
    }

    fn view(&self, key: &str, parent: Option<&str>) -> Result<Rootfs> {
        self.make(key, parent, Kind::View)
    }

    fn commit(&self, name: &str, key: &str) -> Result<()> {
        let parent = self.shelf.get(key)?.parent;
        let usage = self.usage(key)?;
        let claim = self.shelf.claim_commit(name, key, parent.as_deref())?;
        let id = claim.id.clone();
        // The whole tree is new on the disk, not only what differs.
        self.shelf.persist(&id, measure::usage(&self.shelf.fs(&id))?)?;
        claim.settle(Kind::Committed, parent.as_deref(), Some(usage), Some(key))?;
        self.shelf.persist_later(&id);
        Ok(())
    }

    fn commit_on(&self, _: &str, _: &str, _: Option<&str>) -> Result<()> {
        Err(Error::Unsupported {
            driver: "native",
            what: "a layer cannot be put on another one afterwards".to_owned(),
        })
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.shelf.remove(name)
    }

    fn stat(&self, name: &str) -> Result<Info> {
        Ok(self.shelf.get(name)?.info())
    }

    fn walk(&self) -> Result<Vec<Info>> {
        Ok(self.shelf.walk())
    }

    fn usage(&self, name: &str) -> Result<Usage> {
        let row = self.shelf.get(name)?;
        if let Some(known) = row.usage {
            return Ok(known);
        }
        if row.parent.is_none() || row.kind != Kind::Active {
            return measure::usage(&self.shelf.fs(&row.id));
        }
        let own = self.shelf.fs(&row.id);
        let mut usage = Usage::default();
        for change in self.changes(name)?.iter().filter(|change| change.kind != ChangeKind::Deleted) {
            let path = own.join(change.path.strip_prefix("/").unwrap_or(&change.path));
            if let Ok(meta) = fs::symlink_metadata(path) {
                usage.inodes += 1;
                usage.bytes += if meta.is_dir() { 0 } else { meta.len() };
            }
        }
        Ok(usage)
    }

    fn rootfs(&self, key: &str) -> Result<Rootfs> {
        let row = self.shelf.get(key)?;
        Ok(self.mount_of(row.kind, &row.id, &self.shelf.ancestors(row.parent.as_deref())?))
    }

    fn layer_dir(&self, key: &str) -> Result<PathBuf> {
        Ok(self.shelf.fs(&self.shelf.get(key)?.id))
    }

    fn lower_dirs(&self, _: Option<&str>) -> Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn whiteouts(&self) -> Whiteouts {
        Whiteouts::Delete
    }

    fn changes(&self, key: &str) -> Result<Vec<Change>> {
        let (row, own, before) = self.pair(key)?;
        if row.kind == Kind::View {
            return Ok(Vec::new());
        }
        changes(&own, &Before { layers: &before, whole: true })
    }

    fn diff_tar(&self, key: &str, out: &mut dyn Write) -> Result<()> {
        let (_, own, _) = self.pair(key)?;
        let changes = self.changes(key)?;
        let name = |change: &Change| change.path.as_os_str().as_bytes()[1..].to_vec();
        let kept: std::collections::HashSet<Vec<u8>> =
            changes.iter().filter(|change| change.kind != ChangeKind::Deleted).map(name).collect();
        let skip = |member: &[u8]| !kept.contains(member);
        let mut writer = Writer::new(out);
        pack(&own, b"", &PackOptions { skip: Some(&skip), ..PackOptions::default() }, &mut writer)?;
        for change in changes.iter().filter(|change| change.kind == ChangeKind::Deleted) {
            let gone = name(change);
            let at = gone.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
            let whiteout = [&gone[..at], b".wh.", &gone[at..]].concat();
            writer.append_bytes(&Entry::new(whiteout, Member::File, 0), b"")?;
        }
        writer.finish()?;
        Ok(())
    }
}
