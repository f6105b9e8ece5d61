//! `export`: the whole root as a tar.

use std::io;

use gantry_archive::{PackOptions, Root};

use super::archive::TarWriter;
use super::root::{self, Access};
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};

impl Engine {
    /// A container's root, without what is mounted in it.
    pub async fn container_export(&self, name: &str) -> Result<TarWriter> {
        let container = self.find(name)?;
        let record = container.record();
        let snapshots = std::sync::Arc::clone(self.snapshots_of(&record)?);
        let id = record.id.clone();
        let root = blocking(move || {
            let rootfs = snapshots.rootfs(id.as_str())?;
            root::of_snapshot(&rootfs, Access::Read)
                .map_err(Error::io(format!("open the root of container {id}")))
        })
        .await?;
        self.container_event(&record, "export", &[]);
        Ok(Box::new(move |out| {
            let mut writer = gantry_archive::Writer::new(out);
            let root = Root::from_fd(root);
            gantry_archive::pack(&root, b"", &PackOptions::default(), &mut writer)
                .map_err(io::Error::other)?;
            writer.finish().map(drop).map_err(io::Error::other)
        }))
    }
}
