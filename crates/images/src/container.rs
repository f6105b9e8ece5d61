//! What a container of an image stands on.

use std::path::Path;
use std::sync::PoisonError;

use gantry_archive::Root;
use gantry_names::{ChainId, ImageId};
use gantry_snapshots::RootView;
use rustix::fs::OFlags;

use crate::layer::UNPACKING;
use crate::remove::init_name;
use crate::{Error, ImageStore, Lease, Result};

/// Directories every container has something mounted at.
const DIRS: [&str; 4] = ["dev/pts", "dev/shm", "proc", "sys"];
/// Files every container has something mounted at, or programs look for.
const FILES: [&str; 5] = [".dockerenv", "etc/resolv.conf", "etc/hosts", "etc/hostname", "dev/console"];
/// And one symlink.
const MTAB: (&str, &str) = ("etc/mtab", "/proc/mounts");

impl ImageStore {
    /// Makes sure that an image's layers are unpacked; gives the snapshot that shows it, `None` for an image without layers.
    pub fn unpack(&self, lease: &Lease, id: &ImageId) -> Result<Option<ChainId>> {
        let image = self.get(id)?;
        let mut chain: Option<ChainId> = None;
        for (index, layer) in image.record.layers.iter().enumerate() {
            self.unpack_layer(lease, chain.as_ref(), layer, index)?;
            chain = Some(ChainId::extend(chain.as_ref(), &layer.diff_id));
        }
        Ok(chain)
    }

    /// The snapshot to prepare a container of this image on: the image's layers and, above them, the mount points an engine
    /// needs (`/proc`, `/dev/console`, `/etc/hosts`, ...). That upper one is shared by all containers of the image, so that
    /// it is made once and no container's difference shows it. It goes with the image.
    pub fn container_parent(&self, lease: &Lease, id: &ImageId) -> Result<String> {
        let chain = self.unpack(lease, id)?;
        self.init_layer(chain.as_ref())
    }

    /// The same for a chain of layers that is no image yet (a build step); `None` for an empty root.
    pub fn init_layer(&self, chain: Option<&ChainId>) -> Result<String> {
        let snapshots = &self.inner.snapshots;
        let name = init_name(chain.map_or("scratch", ChainId::as_str));
        if snapshots.stat(&name).is_ok() {
            return Ok(name);
        }
        let _one_at_a_time = self.inner.furnishing.lock().unwrap_or_else(PoisonError::into_inner);
        if snapshots.stat(&name).is_ok() {
            return Ok(name);
        }
        let key = format!("{UNPACKING}{}", gantry_names::ContainerId::random().short());
        let rootfs = snapshots.prepare(&key, chain.map(ChainId::as_str))?;
        let made = RootView::of(&rootfs).map_err(Error::from).and_then(|view| furnish(view.root()));
        let committed = made.and_then(|()| Ok(snapshots.commit(&name, &key)?));
        if committed.is_err() {
            self.discard(&key);
        }
        committed.map(|()| name)
    }
}

fn furnish(root: &Root) -> Result<()> {
    for dir in DIRS {
        root.make_dirs(dir.as_bytes(), 0o755)?;
    }
    for file in FILES {
        if place_for(root, file)? {
            root.open_at(file.as_bytes(), OFlags::WRONLY | OFlags::CREATE, 0o755)?;
        }
    }
    if place_for(root, MTAB.0)? {
        let etc = root.open_dir(b"etc")?;
        rustix::fs::symlinkat(MTAB.1, etc, "mtab").map_err(std::io::Error::from)?;
    }
    Ok(())
}

/// Whether the path is free; the directory for it is made.
fn place_for(root: &Root, path: &str) -> Result<bool> {
    if root.lstat(path.as_bytes()).is_ok() {
        return Ok(false);
    }
    if let Some(dir) = Path::new(path).parent().and_then(Path::to_str) {
        root.make_dirs(dir.as_bytes(), 0o755)?;
    }
    Ok(true)
}
