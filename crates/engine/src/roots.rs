//! Which data root and which exec root belong together.
//!
//! What runs has its record below the one and its bundle below the other. An engine that met a bundle without its record would
//! end what it does not know; one that met a record without its bundle would start a second time what it does not see.

use std::fs;
use std::path::{Path, PathBuf};

use gantry_names::ContainerId;
use gantry_store::Table;

use crate::{Engine, Error, Result};

/// The exec root of this data root, under one key.
const EXEC_ROOT: Table<String, String> = Table::new("engine.exec-root");
const KEY: &str = "exec-root";
/// The file of an exec root that says whose it is.
const OWNER: &str = "owner";

/// Whose an exec root is.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    identity: String,
    data_root: PathBuf,
}

impl Owner {
    /// `None` where nobody was yet, or what is there cannot be read.
    fn of(exec_root: &Path) -> Option<Owner> {
        let text = fs::read_to_string(exec_root.join(OWNER)).ok()?;
        let (identity, data_root) = text.split_once('\n')?;
        Some(Owner { identity: identity.to_owned(), data_root: data_root.into() })
    }

    /// A data root that was moved is the same, and so is one that was begun anew at the same place.
    fn is(&self, other: &Owner) -> bool {
        self.identity == other.identity || self.data_root == other.data_root
    }

    fn write(&self, exec_root: &Path) -> std::io::Result<()> {
        let beside = exec_root.join(format!("{OWNER}.new"));
        fs::write(&beside, format!("{}\n{}", self.identity, self.data_root.display()))?;
        fs::rename(beside, exec_root.join(OWNER))
    }
}

impl Engine {
    /// Refuses two roots that do not belong together while a container of either runs, and remembers those that do.
    pub(crate) fn keep_to_roots(&self) -> Result<()> {
        let config = self.config();
        let whole = |path: &Path| {
            path.canonicalize().map_err(|cause| Error::Io { what: format!("find {}", path.display()), cause })
        };
        let exec_root = whole(&config.exec_root)?;
        let us = Owner { identity: self.identity()?, data_root: whole(&config.data_root)? };
        let owner = Owner::of(&exec_root);
        if let Some(other) = owner.as_ref().filter(|owner| !owner.is(&us) && has_bundles(&exec_root)) {
            return Err(Error::Conflict(format!(
                "containers of the data root {} have their processes below the exec root {}: give this engine an --exec-root of its own",
                other.data_root.display(),
                exec_root.display()
            )));
        }
        let key = KEY.to_owned();
        let before = self.inner.store.read(|tx| tx.get(EXEC_ROOT, &key))?;
        if let Some(before) = before.as_deref().map(Path::new).filter(|before| *before != exec_root)
            && Owner::of(before).is_some_and(|owner| owner.is(&us))
            && has_bundles(before)
        {
            return Err(Error::Conflict(format!(
                "containers of this data root have their processes below the exec root {}: start with --exec-root={}, and stop them \
                 before you change it",
                before.display(),
                before.display()
            )));
        }
        let text = exec_root.display().to_string();
        if before.as_ref() != Some(&text) {
            self.inner.store.write(|tx| tx.put(EXEC_ROOT, &key, &text))?;
        }
        // A full exec root holds up nobody.
        if owner.as_ref() != Some(&us)
            && let Err(err) = us.write(&exec_root)
        {
            tracing::warn!(%err, exec_root = text, "writing whose it is");
        }
        Ok(())
    }
}

fn has_bundles(exec_root: &Path) -> bool {
    let names = fs::read_dir(exec_root).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_str().is_some_and(|name| ContainerId::parse(name).is_ok()))
}
