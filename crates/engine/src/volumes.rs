//! The volume verbs with their events; the work is `gantry-volumes`'.

use std::path::PathBuf;

use gantry_events::Kind;
use gantry_volumes::{Volume, VolumeFilter, VolumeRequest};

use crate::engine::{Engine, blocking};
use crate::error::Result;
use crate::filters::Filters;
use crate::system::Pruned;

impl Engine {
    /// Lists volumes with the places of their content.
    pub async fn volume_list(&self, filters: Filters) -> Result<Vec<(Volume, PathBuf)>> {
        let mut filter = VolumeFilter::default();
        for (key, value) in pairs(&filters) {
            filter.add(key, value)?;
        }
        let volumes = self.inner.volumes.list(&filter).into_iter();
        Ok(volumes.map(|volume| (volume.clone(), self.inner.volumes.data_path(&volume.name))).collect())
    }

    /// Makes a volume, or gives the one of that name.
    pub async fn volume_create(&self, request: VolumeRequest) -> Result<(Volume, PathBuf)> {
        let engine = self.clone();
        let (volume, new) = blocking(move || engine.inner.volumes.create(request)).await?;
        if new {
            self.volume_event(&volume.name, "create", &[]);
        }
        let path = self.inner.volumes.data_path(&volume.name);
        Ok((volume, path))
    }

    /// One volume.
    pub async fn volume_inspect(&self, name: &str) -> Result<(Volume, PathBuf)> {
        Ok((self.inner.volumes.get(name)?, self.inner.volumes.data_path(name)))
    }

    /// Removes a volume that no container names.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let (engine, doomed) = (self.clone(), name.to_owned());
        let known = self.inner.volumes.get(name).is_ok();
        blocking(move || engine.inner.volumes.remove(&doomed, force)).await?;
        if known {
            self.volume_event(name, "destroy", &[]);
        }
        Ok(())
    }

    /// Removes volumes that no container names: anonymous ones, with `all=true` the named, too.
    pub async fn volume_prune(&self, filters: Filters) -> Result<Pruned> {
        let mut filter = VolumeFilter::default();
        for (key, value) in pairs(&filters) {
            filter.add_for_prune(key, value)?;
        }
        let engine = self.clone();
        let pruned = blocking(move || engine.inner.volumes.prune(&filter)).await?;
        for name in &pruned.deleted {
            self.volume_event(name, "destroy", &[]);
        }
        let attributes = [("reclaimed".to_owned(), pruned.reclaimed.to_string())].into();
        self.publish(Kind::Volume, "prune", "", attributes);
        Ok(Pruned { deleted: pruned.deleted, reclaimed: pruned.reclaimed })
    }
}

fn pairs(filters: &Filters) -> impl Iterator<Item = (&String, &String)> {
    filters.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)))
}
