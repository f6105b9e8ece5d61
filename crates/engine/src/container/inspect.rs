//! `inspect`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_names::ExecId;
use gantry_snapshots::Rootfs;

use super::Container;
use crate::bundle::apparmor;
use crate::bundle::security::Security;
use crate::engine::{Engine, blocking};
use crate::error::Result;
use crate::record::{ContainerRecord, MountPointKind};

/// A record and what is shown beside it. Paths are empty when there is no such file.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The record.
    pub record: ContainerRecord,
    /// Becomes `/etc/resolv.conf`.
    pub resolv_conf_path: PathBuf,
    /// Becomes `/etc/hostname`.
    pub hostname_path: PathBuf,
    /// Becomes `/etc/hosts`.
    pub hosts_path: PathBuf,
    /// The log.
    pub log_path: PathBuf,
    /// AppArmor's profile.
    pub apparmor_profile: String,
    /// SELinux' label of its mounts.
    pub mount_label: String,
    /// SELinux' label of its processes.
    pub process_label: String,
    /// Sessions that run in it.
    pub exec_ids: Vec<ExecId>,
    /// The graph driver's data: `LowerDir`, `UpperDir`, `WorkDir`, `MergedDir`.
    pub graph: BTreeMap<String, String>,
    /// Bytes of its own and of all, when asked.
    pub size: Option<(u64, u64)>,
}

impl Engine {
    /// Everything about a container.
    pub async fn container_inspect(&self, name: &str, size: bool) -> Result<Inspected> {
        let container = self.find(name)?;
        let record = self.shown(&container);
        let files = self.network_files(&record);
        let (engine, id) = (self.clone(), record.id.clone());
        let graph = blocking(move || engine.inner.images.snapshots().rootfs(id.as_str()).map(graph)).await;
        let existing = |path: PathBuf| if path.exists() { path } else { PathBuf::new() };
        Ok(Inspected {
            resolv_conf_path: existing(files.resolv_conf),
            hostname_path: existing(files.hostname),
            hosts_path: existing(files.hosts),
            log_path: if record.state.exit().is_some() || record.state.is_alive() {
                self.log_path(&record)
            } else {
                PathBuf::new()
            },
            apparmor_profile: if record.state.exit().is_some() || record.state.is_alive() {
                self.apparmor_profile(&record)
            } else {
                String::new()
            },
            mount_label: record.selinux.mount.clone(),
            process_label: record.selinux.process.clone(),
            exec_ids: self.exec_ids(&record.id),
            graph: graph.unwrap_or_default(),
            size: if size { Some(self.sizes(&record).await?) } else { None },
            record,
        })
    }

    fn apparmor_profile(&self, record: &ContainerRecord) -> String {
        // What the record has was read when the container was made.
        let security = Security::parse(&record.spec.security_opts).unwrap_or_default();
        apparmor::profile(&security, record.spec.privileged, &self.inner.host).unwrap_or_default()
    }

    /// The record as people see it: with the addresses of the moment.
    pub(crate) fn shown(&self, container: &Arc<Container>) -> ContainerRecord {
        let mut record = ContainerRecord::clone(&container.record());
        record.network = self.inner.network.shown(&record);
        for point in record.mounts.iter_mut().filter(|point| point.kind == MountPointKind::Volume) {
            point.driver = "local".to_owned();
        }
        record
    }

    /// Bytes of a container's own layer, and of all its layers.
    pub(super) async fn sizes(&self, record: &ContainerRecord) -> Result<(u64, u64)> {
        let (engine, id, image) = (self.clone(), record.id.clone(), record.image.clone());
        blocking(move || {
            let own = engine.inner.images.snapshots().usage(id.as_str())?.bytes;
            let below = engine.inner.images.get(&image).map_or(0, |image| image.size());
            Ok((own, own + below))
        })
        .await
    }
}

/// The root's folders in Docker's words.
pub(crate) fn graph(rootfs: Rootfs) -> BTreeMap<String, String> {
    match rootfs {
        Rootfs::Overlay { lower, upper, work, .. } => {
            let lower: Vec<String> = lower.iter().map(|dir| dir.display().to_string()).collect();
            let mut all = BTreeMap::from([("LowerDir".to_owned(), lower.join(":"))]);
            if let (Some(upper), Some(work)) = (upper, work) {
                // Nothing is ever mounted on the host: where Docker shows its mount, the writable layer is.
                all.insert("MergedDir".to_owned(), upper.display().to_string());
                all.insert("UpperDir".to_owned(), upper.display().to_string());
                all.insert("WorkDir".to_owned(), work.display().to_string());
            }
            all
        }
        Rootfs::Dir { path, .. } => BTreeMap::from([("Dir".to_owned(), path.display().to_string())]),
    }
}
