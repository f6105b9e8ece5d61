//! A container in full.

use super::{config::config, host_config::host_config, networks, state::state};
use crate::timestamp::rfc3339_nano;
use gantry_api::container::{ContainerInspect, MountPoint};
use gantry_api::image::GraphDriver;
use gantry_api::version::ApiVersion;
use gantry_engine::Inspected;
use gantry_engine::record::{self, ContainerRecord, MountPointKind};
use gantry_engine::spec::{NetworkMode, ReadOnly};
use std::path::Path;

/// Inspect, in the shape of a version.
pub(crate) fn inspect(inspected: &Inspected, version: ApiVersion) -> ContainerInspect {
    let record = &inspected.record;
    let path = |path: &Path| path.display().to_string();
    let (program, args) = command(record);
    let mut config = config(&record.spec);
    let mut settings = networks::network_settings(record);
    if let Some(endpoint) = own_endpoint(record).filter(|_| config.mac_address.is_empty()) {
        // Where clients before 1.44 look for it.
        config.mac_address = endpoint;
    }
    if version.before(45) {
        old_aliases(record, &mut settings);
    }
    let size = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    ContainerInspect {
        id: record.id.to_string(),
        created: rfc3339_nano(record.created),
        path: program,
        args: Some(args),
        state: Some(state(record)),
        image: record.image.to_string(),
        resolv_conf_path: path(&inspected.resolv_conf_path),
        hostname_path: path(&inspected.hostname_path),
        hosts_path: path(&inspected.hosts_path),
        log_path: path(&inspected.log_path),
        name: format!("/{}", record.name),
        restart_count: record.restart_count.into(),
        driver: record.snapshot_driver.clone(),
        platform: record.platform.os.clone(),
        mount_label: inspected.mount_label.clone(),
        process_label: inspected.process_label.clone(),
        app_armor_profile: inspected.apparmor_profile.clone(),
        exec_ids: Some(inspected.exec_ids.iter().map(ToString::to_string).collect())
            .filter(|ids: &Vec<String>| !ids.is_empty()),
        host_config: Some(host_config(&record.spec)),
        graph_driver: GraphDriver {
            data: Some(inspected.graph.clone()).filter(|data| !data.is_empty()),
            name: record.snapshot_driver.clone(),
        },
        size_rw: inspected.size.map(|(rw, _)| size(rw)),
        size_root_fs: inspected.size.map(|(_, all)| size(all)),
        mounts: Some(record.mounts.iter().map(mount_point).collect()),
        config: Some(config),
        network_settings: Some(settings),
        image_manifest_descriptor: None,
    }
}

/// The program and its arguments.
pub(crate) fn command(record: &ContainerRecord) -> (String, Vec<String>) {
    let spec = &record.spec;
    let entrypoint = spec.entrypoint.iter().flatten();
    let mut words = entrypoint.chain(spec.command.iter().flatten()).cloned();
    (words.next().unwrap_or_default(), words.collect())
}

/// The address that was asked for in the network that the mode names.
fn own_endpoint(record: &ContainerRecord) -> Option<String> {
    let name = match &record.spec.network_mode {
        NetworkMode::Named(name) => name.as_str(),
        NetworkMode::Default => "bridge",
        _ => return None,
    };
    record.spec.endpoints.get(name).map(|endpoint| endpoint.mac_address.clone())
}

/// Before 1.45 the short id and the host name were aliases in networks of the user's own.
fn old_aliases(record: &ContainerRecord, settings: &mut gantry_api::container::NetworkSettings) {
    let networks = settings.networks.iter_mut().flatten();
    for (_, endpoint) in networks.filter(|(name, _)| !matches!(name.as_str(), "bridge" | "host" | "none")) {
        let aliases = endpoint.aliases.get_or_insert_default();
        for alias in [record.id.short(), &record.spec.hostname] {
            if !alias.is_empty() && !aliases.iter().any(|known| known == alias) {
                aliases.push(alias.to_owned());
            }
        }
    }
}

/// A mount as it is.
pub(crate) fn mount_point(mount: &record::MountPoint) -> MountPoint {
    let propagation = match mount.kind {
        MountPointKind::Bind | MountPointKind::Image => {
            mount.propagation.map_or("rprivate", gantry_engine::spec::Propagation::as_str)
        }
        _ => "",
    };
    MountPoint {
        r#type: mount.kind.as_str().into(),
        name: mount.name.clone(),
        source: mount.source.clone(),
        destination: mount.target.clone(),
        driver: mount.driver.clone(),
        mode: mount.mode.clone(),
        rw: mount.read_only == ReadOnly::No,
        propagation: propagation.into(),
    }
}
