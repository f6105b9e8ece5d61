//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container: where they are, and their mounts.

use std::path::PathBuf;

use gantry_network::SandboxFiles;

use crate::bundle::BoundMount;
use crate::engine::Engine;
use crate::record::ContainerRecord;
use crate::spec::{NetworkMode, ReadOnly};

impl Engine {
    /// The files' places. A container in another's network has that one's files.
    pub(crate) fn network_files(&self, record: &ContainerRecord) -> SandboxFiles {
        let owner = match &record.spec.network_mode {
            NetworkMode::Container(who) => {
                self.find(who).map_or_else(|_| record.id.clone(), |owner| owner.id.clone())
            }
            _ => record.id.clone(),
        };
        let dir = self.container_dir(&owner);
        SandboxFiles {
            hosts: dir.join("hosts"),
            hostname: dir.join("hostname"),
            resolv_conf: dir.join("resolv.conf"),
        }
    }

    /// Where the log is; empty without one.
    pub(crate) fn log_path(&self, record: &ContainerRecord) -> PathBuf {
        match record.spec.log.driver.as_str() {
            "json-file" => self.container_dir(&record.id).join(format!("{}-json.log", record.id)),
            "local" => self.container_dir(&record.id).join("local-logs").join("container.log"),
            _ => PathBuf::new(),
        }
    }

    /// The mounts of those files, but where a person mounts something else.
    pub(super) fn file_mounts(&self, record: &ContainerRecord, asked: &[BoundMount]) -> Vec<BoundMount> {
        let files = self.network_files(record);
        let own_name = !matches!(record.spec.network_mode, NetworkMode::Container(_));
        let hostname =
            if own_name { files.hostname } else { self.container_dir(&record.id).join("hostname") };
        let all = [
            (files.resolv_conf, "/etc/resolv.conf"),
            (hostname, "/etc/hostname"),
            (files.hosts, "/etc/hosts"),
        ];
        let free = all.into_iter().filter(|(source, target)| {
            let taken = asked.iter().any(|mount| match mount {
                BoundMount::Bind { target: place, .. } | BoundMount::Tmpfs { target: place, .. } => {
                    place == target
                }
            });
            !taken && source.exists()
        });
        free.map(|(source, target)| BoundMount::Bind {
            source,
            target: target.to_owned(),
            read_only: ReadOnly::No,
            propagation: None,
            non_recursive: false,
        })
        .collect()
    }
}
