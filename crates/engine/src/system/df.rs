//! `system df`.

use std::path::PathBuf;

use gantry_images::Summary;
use gantry_volumes::{Volume, VolumeFilter};

use crate::container::{ListRequest, Listed};
use crate::engine::{Engine, blocking};
use crate::error::Result;
use crate::filters::Filters;

/// What takes how much room.
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// Bytes of all layers, each counted once.
    pub layers_size: u64,
    /// Images, and how many containers are made of each.
    pub images: Vec<(Summary, i64)>,
    /// Containers with sizes.
    pub containers: Vec<Listed>,
    /// Volumes, their places, how many containers name each, and bytes (-1 when they cannot be counted).
    pub volumes: Vec<(Volume, PathBuf, i64, i64)>,
}

impl Engine {
    /// Measures what is asked for.
    pub async fn disk_usage(&self, containers: bool, images: bool, volumes: bool) -> Result<DiskUsage> {
        let mut usage = DiskUsage::default();
        if images {
            usage.images = self.image_list(false, true, Filters::new()).await?;
            let store = self.inner.images.clone();
            usage.layers_size = blocking(move || store.layers_size()).await?;
        }
        if containers {
            usage.containers =
                self.container_list(ListRequest { all: true, size: true, ..ListRequest::default() }).await?;
        }
        if volumes {
            let engine = self.clone();
            usage.volumes = blocking(move || {
                let store = &engine.inner.volumes;
                let measured = store.list(&VolumeFilter::default()).into_iter().map(|volume| {
                    let users = i64::try_from(store.holder_count(&volume.name)).unwrap_or(i64::MAX);
                    let bytes = store.bytes(&volume.name).ok().and_then(|bytes| i64::try_from(bytes).ok());
                    let path = store.data_path(&volume.name);
                    (volume, path, users, bytes.unwrap_or(-1))
                });
                measured.collect()
            })
            .await;
        }
        Ok(usage)
    }
}
