//! Which storage the settings name, and its opening for this process alone.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_registry_stores::Far;
use serde_json::Value;

use super::RunError;
use crate::config::{Config, ConfigError};
use crate::store::driver::Driver;
use crate::store::local::Local;
use crate::store::upload::Uploads;
use crate::store::{Store, layout};

/// Where images are kept when nobody says: Docker's registry's place.
const ROOT: &str = "/var/lib/registry";

/// A place for images, and the directory on this machine that belongs to it.
pub(super) enum Place {
    /// A directory.
    Local(PathBuf),
    /// A provider's bucket; uploads under way, the lock and the token key are in a directory here.
    Far(Far, PathBuf),
}

/// A store that this process owns.
pub(super) struct Opened {
    pub store: Store,
    pub uploads: Uploads,
    /// The server's own directory.
    pub private: PathBuf,
    pub lock: File,
}

impl Place {
    /// What `storage` says. To be called within a tokio runtime.
    pub(super) fn of(config: &Config) -> Result<Self, RunError> {
        let (name, settings) = config.driver()?;
        let text = |key: &str| settings.get(key).and_then(Value::as_str);
        if name == "filesystem" {
            return Ok(Self::Local(text("rootdirectory").unwrap_or(ROOT).into()));
        }
        let wrong = |text: String| RunError::Config(ConfigError::Value(text));
        let far = gantry_registry_stores::open(&name, &settings).map_err(|err| wrong(err.to_string()))?;
        let far = far.ok_or_else(|| wrong(no_driver(&name)))?;
        let here = config.gantry.workdirectory.clone();
        Ok(Self::Far(far, here.unwrap_or_else(|| ROOT.into())))
    }

    /// The directory on this machine.
    fn directory(&self) -> &Path {
        match self {
            Self::Local(root) | Self::Far(_, root) => root,
        }
    }

    /// The server's own directory in it.
    pub(super) fn private(&self) -> PathBuf {
        self.directory().join(layout::PRIVATE)
    }

    fn driver(&self, sync: bool) -> io::Result<Arc<dyn Driver>> {
        Ok(match self {
            Self::Local(root) => Arc::new(Local::open(root, &self.private().join("drafts"), sync)?),
            Self::Far(far, _) => {
                far.check()?;
                Arc::new(far.clone())
            }
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Local(root) => root.display().to_string(),
            Self::Far(far, _) => far.to_string(),
        }
    }

    /// Opens the storage. Blocks; within a tokio runtime.
    pub(super) fn open(&self, sync: bool) -> Result<Opened, RunError> {
        let private = self.private();
        fs::create_dir_all(&private).map_err(RunError::io(private.display().to_string()))?;
        let lock = File::options().create(true).truncate(false).write(true).open(private.join("lock"));
        let lock = lock.map_err(RunError::io("lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| RunError::InUse(self.directory().to_owned()))?;
        let opened = (|| -> io::Result<(Store, Uploads)> {
            let driver = self.driver(sync)?;
            let store = Store::open(Arc::clone(&driver))?;
            // A volume that another registry wrote has no list of referrers yet.
            let indexed = format!("{}/referrers-indexed", layout::PRIVATE);
            if let Err(err) = driver.stat(&indexed) {
                if err.kind() != io::ErrorKind::NotFound {
                    return Err(err);
                }
                store.index_referrers()?;
                driver.write(&indexed, b"1\n")?;
            }
            Ok((store, Uploads::open(&private.join("uploads"))?))
        })();
        let (store, uploads) = opened.map_err(RunError::io(self.name()))?;
        Ok(Opened { store, uploads, private, lock })
    }
}

fn no_driver(name: &str) -> String {
    format!(
        "storage driver {name} is not part of this build; there are: filesystem, {}",
        gantry_registry_stores::DRIVERS.join(", ")
    )
}
