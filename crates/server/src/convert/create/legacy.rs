//! What older versions did not have is taken out, and what they had elsewhere is moved.

use crate::failure::Failure;
use gantry_api::container::{Config, HostConfig};
use gantry_api::network::{EndpointSettings, NetworkingConfig};
use gantry_api::version::ApiVersion;

/// The endpoint option that carries per-interface kernel parameters.
const ENDPOINT_SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

/// Brings a body of any version to today's meaning. Gives back the warnings for the client.
pub(super) fn adapt(
    config: &mut Config,
    host: &mut HostConfig,
    networking: &mut NetworkingConfig,
    version: ApiVersion,
) -> Result<Vec<String>, Failure> {
    if version.before(25) {
        // The client removed the container itself.
        host.auto_remove = false;
    }
    if version.before(40) {
        host.kernel_memory_tcp = 0;
        if host.ipc_mode.is_empty() {
            host.ipc_mode = "shareable".into();
        }
    }
    if version.before(42) {
        host.console_size = [0, 0];
    } else {
        host.kernel_memory = 0;
    }
    if version.before(43) {
        host.annotations.clear();
    }
    if version.before(44) {
        if let Some(check) = &mut config.healthcheck {
            check.start_interval = 0;
        }
        let endpoints = networking.endpoints_config.iter().flatten();
        let names: Vec<&str> = endpoints.map(|(name, _)| name.as_str()).collect();
        if names.len() > 1 {
            return Err(Failure::invalid(format!(
                "Container cannot be created with multiple network endpoints: {}",
                names.join(", ")
            )));
        }
    }
    if version.before(48) {
        for endpoint in networking.endpoints_config.iter_mut().flatten().filter_map(|(_, e)| e.as_mut()) {
            endpoint.gw_priority = 0;
        }
    }
    mounts(host, version)?;
    if host.pids_limit.is_some_and(|limit| limit <= 0) {
        host.pids_limit = None;
    }
    let mut warnings = Vec::new();
    warnings.extend(volume_driver(host, version));
    warnings.extend(mac_address(config, host, networking, version)?);
    warnings.extend(sysctls(host, networking, version)?);
    Ok(warnings)
}

fn mounts(host: &mut HostConfig, version: ApiVersion) -> Result<(), Failure> {
    for mount in &mut host.mounts {
        if let Some(bind) = &mut mount.bind_options {
            if version.before(40) {
                bind.non_recursive = false;
            }
            if version.before(42) {
                bind.create_mountpoint = false;
            }
            if version.before(44) && mount.r#type == "bind" {
                if bind.read_only_force_recursive {
                    return Err(Failure::invalid(
                        "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer",
                    ));
                }
                bind.read_only_non_recursive = mount.read_only;
            }
        } else if version.before(44) && mount.r#type == "bind" && mount.read_only {
            // Before 1.44 a read-only mount was so at its top only.
            mount.bind_options.get_or_insert_default().read_only_non_recursive = true;
        }
        if version.before(42) {
            // Not refused then, so not looked at now.
            if mount.r#type != "volume" {
                mount.volume_options = None;
            }
            if mount.r#type != "tmpfs" {
                mount.tmpfs_options = None;
            }
        } else {
            let options = [
                ("VolumeOptions", mount.volume_options.is_some(), "volume"),
                ("BindOptions", mount.bind_options.is_some(), "bind"),
                ("TmpfsOptions", mount.tmpfs_options.is_some(), "tmpfs"),
            ];
            for (name, there, of) in options {
                if there && mount.r#type != of {
                    return Err(Failure::invalid(format!(
                        "{name} must not be specified on mount type {:?}",
                        mount.r#type
                    )));
                }
            }
        }
        if version.before(45) && mount.volume_options.as_ref().is_some_and(|v| !v.subpath.is_empty()) {
            return Err(Failure::invalid("VolumeOptions.Subpath needs API v1.45 or newer"));
        }
        if version.before(48) && mount.r#type == "image" {
            return Err(Failure::invalid("Mount type \"Image\" needs API v1.48 or newer"));
        }
    }
    Ok(())
}

fn volume_driver(host: &HostConfig, version: ApiVersion) -> Option<String> {
    let named = |mount: &gantry_api::mount::Mount| {
        let driver = mount.volume_options.as_ref().and_then(|v| v.driver_config.as_ref());
        driver.is_some_and(|driver| !driver.name.is_empty())
    };
    let ignored = host.mounts.iter().any(|mount| mount.r#type == "volume" && !named(mount));
    (version.since(48) && !host.volume_driver.is_empty() && ignored).then(|| {
        "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead".into()
    })
}

/// The container-wide address of old belongs to the first network's endpoint.
fn mac_address(
    config: &mut Config,
    host: &HostConfig,
    networking: &mut NetworkingConfig,
    version: ApiVersion,
) -> Result<Option<String>, Failure> {
    let wide = std::mem::take(&mut config.mac_address);
    let own_network = own_network(&host.network_mode);
    if version.before(44) {
        if wide.is_empty() {
            for endpoint in networking.endpoints_config.iter_mut().flatten().filter_map(|(_, e)| e.as_mut()) {
                endpoint.mac_address.clear();
            }
            return Ok(None);
        }
        if !own_network {
            return Err(Failure::invalid("conflicting options: mac-address and the network mode"));
        }
        endpoint(host, networking, version)?.mac_address = wide;
        return Ok(None);
    }
    if wide.is_empty() {
        return Ok(None);
    }
    if own_network {
        let endpoint = endpoint(host, networking, version)
            .map_err(|e| e.context("unable to migrate container-wide MAC address to a specific network"))?;
        if endpoint.mac_address.is_empty() {
            endpoint.mac_address = wide;
        } else if endpoint.mac_address != wide {
            return Err(Failure::invalid(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
            ));
        }
    }
    Ok(Some("The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.".into()))
}

/// `net.ipv4.conf.eth0.x` cannot be set before the interface is there: it goes to the endpoint.
fn sysctls(
    host: &mut HostConfig,
    networking: &mut NetworkingConfig,
    version: ApiVersion,
) -> Result<Option<String>, Failure> {
    if host.network_mode == "host" || host.network_mode.starts_with("container:") {
        return Ok(None);
    }
    let mut moved: Vec<(String, String)> = Vec::new();
    for (key, value) in &host.sysctls {
        let parts: Vec<&str> = key.splitn(5, '.').collect();
        let ["net", family, conf, interface, name] = parts[..] else { continue };
        if !interface.starts_with("eth") {
            continue;
        }
        // Go's text for this one has no class, so it is a 500 there; it is the client's mistake all the same.
        if version.since(48) {
            return Err(Failure::invalid(format!(
                "interface specific sysctl setting {key:?} must be supplied using driver option '{ENDPOINT_SYSCTLS}'"
            )));
        }
        if interface != "eth0" {
            return Err(Failure::invalid(format!(
                "unable to determine network endpoint for sysctl {key}, use driver option '{ENDPOINT_SYSCTLS}' to set per-interface sysctls"
            )));
        }
        moved.push((key.clone(), format!("net.{family}.{conf}.IFNAME.{name}={value}")));
    }
    if moved.is_empty() {
        return Ok(None);
    }
    let (keys, values): (Vec<String>, Vec<String>) = moved.into_iter().unzip();
    let mut option = values.join(",");
    let warning =
        format!("Migrated sysctl {:?} to DriverOpts{{{ENDPOINT_SYSCTLS:?}:{option:?}}}.", keys.join(","));
    let endpoint = endpoint(host, networking, version)
        .map_err(|e| e.context(format_args!("unable to find a network for sysctl {}", keys[0])))?;
    let options = endpoint.driver_opts.get_or_insert_default();
    if let Some(own) = options.get(ENDPOINT_SYSCTLS) {
        option = format!("{option},{own}");
    }
    options.insert(ENDPOINT_SYSCTLS.into(), option);
    for key in keys {
        host.sysctls.remove(&key);
    }
    Ok(Some(warning))
}

/// Whether the mode names a network that the container joins with an endpoint of its own.
fn own_network(mode: &str) -> bool {
    !matches!(mode, "none" | "host") && !mode.starts_with("container:")
}

/// The endpoint of the network that the mode names, made if there is none.
fn endpoint<'n>(
    host: &HostConfig,
    networking: &'n mut NetworkingConfig,
    version: ApiVersion,
) -> Result<&'n mut EndpointSettings, Failure> {
    let endpoints = networking.endpoints_config.get_or_insert_default();
    // Before 1.44 there was at most one, and it was meant whatever its name.
    let name = match endpoints.keys().next() {
        None => host.network_mode.clone(),
        Some(only) if version.before(44) => only.clone(),
        Some(_) if endpoints.contains_key(&host.network_mode) => host.network_mode.clone(),
        Some(_) => {
            return Err(Failure::invalid(
                "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
            ));
        }
    };
    Ok(endpoints.entry(name).or_default().get_or_insert_default())
}
