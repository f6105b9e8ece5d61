use std::path::Path;
use std::sync::Arc;

use crate::{Error, Native, Overlay, Result, Snapshotter};

/// Opens the driver of this name below `<root>/<driver>`. Docker's names are taken too (`overlay2`, `vfs`). An empty name
/// means the best that works here: overlay, else native; but a driver that already holds snapshots stays.
pub fn open(name: &str, root: &Path) -> Result<Arc<dyn Snapshotter>> {
    match name {
        "overlay" | "overlay2" => Ok(Arc::new(Overlay::open(&root.join("overlay"))?)),
        "native" | "vfs" => Ok(Arc::new(Native::open(&root.join("native"))?)),
        "" => {
            let native = root.join("native").exists() && !root.join("overlay").exists();
            match Overlay::open(&root.join("overlay")) {
                Ok(overlay) if !native => Ok(Arc::new(overlay)),
                Ok(_) | Err(Error::Unsupported { .. }) => open("native", root),
                Err(other) => Err(other),
            }
        }
        other => Err(Error::UnknownDriver(other.to_owned())),
    }
}
