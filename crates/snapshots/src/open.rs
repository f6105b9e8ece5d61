use std::path::Path;
use std::sync::Arc;

use crate::{Error, Native, Overlay, Result, Snapshotter};

/// Opens the driver of this name below `<root>/<driver>`. Docker's names are taken too (`overlay2`, `vfs`).
pub fn open(name: &str, root: &Path) -> Result<Arc<dyn Snapshotter>> {
    match name {
        "overlay" | "overlay2" => Ok(Arc::new(Overlay::open(&root.join("overlay"))?)),
        "native" | "vfs" => Ok(Arc::new(Native::open(&root.join("native"))?)),
        other => Err(Error::UnknownDriver(other.to_owned())),
    }
}

/// The best driver that works below `root`: overlay, else native, with the reason why it is not overlay. A driver that holds
/// snapshots stays.
///
/// # Errors
/// [`Error::Unsupported`] when there are overlays and this host can no longer mount them: without them images and containers
/// would be gone.
pub fn best(root: &Path) -> Result<(Arc<dyn Snapshotter>, Option<String>)> {
    let overlay = Overlay::untried(&root.join("overlay"))?;
    let none = overlay.walk()?.is_empty();
    let native = root.join("native");
    let why = match overlay.probe() {
        Ok(()) if none && native.exists() && !Native::open(&native)?.walk()?.is_empty() => {
            format!("{} holds copies already", native.display())
        }
        Ok(()) => return Ok((Arc::new(overlay), None)),
        Err(error @ Error::Unsupported { .. }) if none => gantry_errdefs::chain(&error),
        Err(error) => return Err(error),
    };
    Ok((Arc::new(Native::open(&native)?), Some(why)))
}
