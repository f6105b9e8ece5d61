//! The kernel's overlayfs: a layer is a directory, a container's root is a mount of all of them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use gantry_archive::{PackOptions, Root, Whiteouts, Writer, pack};
use rustix::fs::{FileType, Mode, OFlags, XattrFlags};

use crate::changes::{Before, changes};
use crate::row::Row;
use crate::shelf::Shelf;
use crate::{
    Access, Change, Error, Info, Kind, PrepareOptions, Result, Rootfs, Snapshotter, Usage, measure, mount,
};

/// Snapshots as overlayfs layers.
#[derive(Debug)]
pub struct Overlay {
    shelf: Shelf,
    options: Vec<String>,
}

/// Features that would make an upper directory depend on more than its own files: it could not be packed without a mount.
const OFF: [&str; 3] = ["index", "metacopy", "redirect_dir"];

impl Overlay {
    /// Opens the snapshots below `root`. Tells when the kernel or the file system there cannot do overlays.
    pub fn open(root: &Path) -> Result<Overlay> {
        let overlay = Overlay::untried(root)?;
        overlay.probe()?;
        Ok(overlay)
    }

    /// The same before anybody knows whether it can be mounted.
    pub(crate) fn untried(root: &Path) -> Result<Overlay> {
        let shelf = Shelf::open(root)?;
        let known = |name: &&&str| Path::new("/sys/module/overlay/parameters").join(name).exists();
        let options = OFF.iter().filter(known).map(|name| format!("{name}=off")).collect();
        Ok(Overlay { shelf, options })
    }

    /// Records that could not be read at open; their files are left where they are.
    pub fn damaged(&self) -> Vec<PathBuf> {
        self.shelf.damaged()
    }

    /// One detached mount, to know now what would fail later.
    pub(crate) fn probe(&self) -> Result<()> {
        let dir = self.shelf.root().join(".probe");
        for name in ["lower", "upper", "work"] {
            fs::create_dir_all(dir.join(name)).map_err(Error::io("making", &dir.join(name)))?;
        }
        let tried = self.try_below(&dir);
        gantry_sys::tree::remove_dir_all(&dir).map_err(Error::io("removing", &dir))?;
        tried.map_err(|why| Error::Unsupported {
            driver: "overlay",
            what: format!("cannot mount on {}: {why}", self.shelf.root().display()),
        })
    }

    fn try_below(&self, dir: &Path) -> std::result::Result<(), String> {
        let [lower, upper, work] = ["lower", "upper", "work"].map(|name| dir.join(name));
        // The kernel mounts these too, and then shows files that were removed, or old ones below new folders.
        if !tells_kinds(dir).map_err(|err| err.to_string())? {
            return Err("its directories do not tell what an entry is (d_type)".to_owned());
        }
        rustix::fs::lsetxattr(&upper, "trusted.overlay.opaque", b"y", XattrFlags::empty())
            .map_err(|err| format!("it has no trusted attributes: {err}"))?;
        let options = self.options.clone();
        let rootfs = Rootfs::Overlay { lower: vec![lower], upper: Some(upper), work: Some(work), options };
        rootfs.open(Access::Write).map(drop).map_err(|err| gantry_errdefs::chain(&err))
    }

    fn paths(&self, rows: &[Row]) -> Vec<PathBuf> {
        rows.iter().map(|row| self.shelf.fs(&row.id)).collect()
    }

    /// What to mount for a snapshot whose own directory is `id` on `parents`.
    fn mount_of(&self, kind: Kind, id: &str, parents: &[Row]) -> Rootfs {
        let mut lower = self.paths(parents);
        let own = self.shelf.fs(id);
        match kind {
            Kind::Active if lower.is_empty() => Rootfs::Dir { path: own, read_only: false },
            Kind::Active => Rootfs::Overlay {
                lower,
                upper: Some(own),
                work: Some(self.shelf.work(id)),
                options: self.options.clone(),
            },
            Kind::View | Kind::Committed => {
                if kind == Kind::Committed || lower.is_empty() {
                    lower.insert(0, own);
                }
                match lower.len() {
                    // Overlayfs wants two layers when none is writable.
                    1 => Rootfs::Dir { path: lower.remove(0), read_only: true },
                    _ => Rootfs::Overlay { lower, upper: None, work: None, options: self.options.clone() },
                }
            }
        }
    }

    fn make(&self, key: &str, parent: Option<&str>, kind: Kind, size: Option<u64>) -> Result<Rootfs> {
        let parents = self.shelf.ancestors(parent)?;
        let claim = self.shelf.claim(key, parent)?;
        let (own, work) = (self.shelf.fs(&claim.id), self.shelf.work(&claim.id));
        let made = || -> Result<()> {
            fs::DirBuilder::new().mode(0o755).create(&own).map_err(Error::io("making", &own))?;
            if kind == Kind::Active {
                fs::DirBuilder::new().mode(0o700).create(&work).map_err(Error::io("making", &work))?;
            }
            if let Some(size) = size {
                mount::keep_below(size, &[&own, &work])?;
            }
            // The mount shows the mode and owner of its top directory.
            match parents.first() {
                Some(row) => same_owner_and_mode(&self.shelf.fs(&row.id), &own),
                None => Ok(()),
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

    fn finish(&self, name: &str, key: &str, parent: Option<&str>) -> Result<()> {
        let claim = self.shelf.claim_commit(name, key, parent)?;
        let own = self.shelf.fs(&claim.id);
        let usage = measure::usage(&own)?;
        self.shelf.persist(&claim.id, usage)?;
        let work = self.shelf.work(&claim.id);
        if work.exists() {
            gantry_sys::tree::remove_dir_all(&work).map_err(Error::io("removing", &work))?;
        }
        let id = claim.id.clone();
        claim.settle(Kind::Committed, parent, Some(usage), Some(key))?;
        self.shelf.persist_later(&id);
        Ok(())
    }

    fn roots(&self, parent: Option<&str>) -> Result<Vec<Root>> {
        let paths = self.lower_dirs(parent)?;
        paths.iter().map(|path| Root::open(path).map_err(Error::io("opening", path))).collect()
    }

    fn own(&self, name: &str) -> Result<(Row, Root)> {
        let row = self.shelf.get(name)?;
        let path = self.shelf.fs(&row.id);
        let root = Root::open(&path).map_err(Error::io("opening", &path))?;
        Ok((row, root))
    }
}

impl Snapshotter for Overlay {
    fn driver(&self) -> &'static str {
        "overlay"
    }

    fn status(&self) -> Vec<(String, String)> {
        let line = |name: &str, value: String| (name.to_owned(), value);
        vec![
            line("Backing Filesystem", mount::filesystem(self.shelf.root())),
            line("Supports d_type", "true".to_owned()),
            line("Using metacopy", "false".to_owned()),
            line("Native Overlay Diff", "true".to_owned()),
            line("userxattr", "false".to_owned()),
        ]
    }

    fn prepare_with(&self, key: &str, parent: Option<&str>, options: &PrepareOptions) -> Result<Rootfs> {
        self.make(key, parent, Kind::Active, options.size)
    }

    fn view(&self, key: &str, parent: Option<&str>) -> Result<Rootfs> {
        self.make(key, parent, Kind::View, None)
    }

    fn commit(&self, name: &str, key: &str) -> Result<()> {
        let parent = self.shelf.get(key)?.parent;
        self.finish(name, key, parent.as_deref())
    }

    fn layers_apart(&self) -> bool {
        true
    }

    fn commit_on(&self, name: &str, key: &str, parent: Option<&str>) -> Result<()> {
        self.finish(name, key, parent)
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
        match row.usage {
            Some(known) => Ok(known),
            None => measure::usage(&self.shelf.fs(&row.id)),
        }
    }

    fn rootfs(&self, key: &str) -> Result<Rootfs> {
        let row = self.shelf.get(key)?;
        Ok(self.mount_of(row.kind, &row.id, &self.shelf.ancestors(row.parent.as_deref())?))
    }

    fn layer_dir(&self, key: &str) -> Result<PathBuf> {
        Ok(self.shelf.fs(&self.shelf.get(key)?.id))
    }

    fn lower_dirs(&self, name: Option<&str>) -> Result<Vec<PathBuf>> {
        Ok(self.paths(&self.shelf.ancestors(name)?))
    }

    fn whiteouts(&self) -> Whiteouts {
        Whiteouts::Overlay
    }

    fn changes(&self, key: &str) -> Result<Vec<Change>> {
        let (row, own) = self.own(key)?;
        let layers = self.roots(row.parent.as_deref())?;
        changes(&own, &Before { layers: &layers, whole: false })
    }

    fn diff_tar(&self, key: &str, out: &mut dyn Write) -> Result<()> {
        let (_, own) = self.own(key)?;
        let mut writer = Writer::new(out);
        let options = PackOptions { whiteouts: Whiteouts::Overlay, ..PackOptions::default() };
        pack(&own, b"", &options, &mut writer)?;
        writer.finish()?;
        Ok(())
    }
}

/// Whether a listing of `dir` tells the kinds of its entries.
fn tells_kinds(dir: &Path) -> rustix::io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut entries = rustix::fs::Dir::read_from(rustix::fs::open(dir, flags, Mode::empty())?)?;
    entries.try_fold(true, |all, entry| Ok(all && entry?.file_type() != FileType::Unknown))
}

pub(crate) fn same_owner_and_mode(from: &Path, to: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(from).map_err(Error::io("reading", from))?;
    let now = fs::symlink_metadata(to).map_err(Error::io("reading", to))?;
    if (meta.uid(), meta.gid()) != (now.uid(), now.gid()) {
        std::os::unix::fs::chown(to, Some(meta.uid()), Some(meta.gid()))
            .map_err(Error::io("changing owner of", to))?;
    }
    fs::set_permissions(to, meta.permissions()).map_err(Error::io("changing mode of", to))
}
