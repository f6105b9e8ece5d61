//! Volumes on the wire.

use gantry_api::volume::{Volume, VolumeCreate, VolumeUsage};
use gantry_volumes::VolumeRequest;
use std::path::Path;

/// A volume, with what it takes when that was counted.
pub(crate) fn volume(volume: &gantry_volumes::Volume, data: &Path, usage: Option<VolumeUsage>) -> Volume {
    Volume {
        // Docker prints whole seconds in the engine's zone.
        created_at: volume.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        driver: "local".into(),
        labels: Some(volume.labels.clone()).filter(|labels| !labels.is_empty()),
        mountpoint: data.display().to_string(),
        name: volume.name.clone(),
        options: Some(volume.options.clone()).filter(|options| !options.is_empty()),
        scope: "local".into(),
        usage_data: usage,
        ..Default::default()
    }
}

/// What to make.
pub(crate) fn request(create: VolumeCreate) -> VolumeRequest {
    VolumeRequest {
        name: create.name,
        driver: create.driver,
        labels: create.labels.unwrap_or_default(),
        options: create.driver_opts.unwrap_or_default(),
    }
}
