//! What can never work is refused before anything is made, in Docker's words and Docker's order.

use crate::failure::Failure;
use gantry_api::container::{Config, Healthcheck, HostConfig};

fn refuse<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::invalid(text))
}

/// Conflicts between options, found while decoding.
pub(super) fn decoded(config: &Config, host: &HostConfig) -> Result<(), Failure> {
    let has = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
    if let Some(whose) = host.network_mode.strip_prefix("container:") {
        let published = host.port_bindings.as_ref().is_some_and(|p| !p.is_empty()) || host.publish_all_ports;
        let conflicts = [
            (whose.is_empty(), "invalid network mode: invalid container format container:<name|id>"),
            (!config.hostname.is_empty(), "conflicting options: hostname and the network mode"),
            (
                has(&host.links),
                "conflicting options: container type network can't be used with links. This would result in undefined behavior",
            ),
            (has(&host.dns), "conflicting options: dns and the network mode"),
            (has(&host.extra_hosts), "conflicting options: custom host-to-IP mapping and the network mode"),
            (published, "conflicting options: port publishing and the container type network mode"),
            (
                !config.exposed_ports.is_empty(),
                "conflicting options: port exposing and the container type network mode",
            ),
        ];
        if let Some((_, text)) = conflicts.into_iter().find(|(there, _)| *there) {
            return refuse(text);
        }
    }
    if host.uts_mode == "host" && !config.hostname.is_empty() {
        return refuse("conflicting options: hostname and the UTS mode");
    }
    if host.network_mode == "host" && has(&host.links) {
        return refuse(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        );
    }
    if !matches!(host.isolation.to_ascii_lowercase().as_str(), "" | "default") {
        let text = format!("invalid isolation ({}): linux only supports 'default'", host.isolation);
        return refuse(text);
    }
    if host.io_maximum_bandwidth != 0 {
        return refuse("invalid option: QoS maximum bandwidth configuration is not supported on linux");
    }
    if host.io_maximum_iops != 0 {
        return refuse("invalid option: QoS maximum IOPs configuration is not supported on linux");
    }
    if host.cpu_realtime_period != 0 && host.cpu_realtime_runtime > host.cpu_realtime_period {
        return refuse("cpu real-time runtime cannot be higher than cpu real-time period");
    }
    if host.cpu_shares < 0 {
        let text = format!("invalid CPU shares ({}): value must be a positive integer", host.cpu_shares);
        return refuse(text);
    }
    Ok(())
}

/// Settings that are wrong in themselves.
pub(super) fn settings(config: &Config, host: &HostConfig) -> Result<(), Failure> {
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return refuse(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        ));
    }
    for env in config.env.iter().flatten() {
        if env.is_empty() || env.starts_with('=') {
            return refuse(format!("invalid environment variable: {env}"));
        }
    }
    config.healthcheck.as_ref().map_or(Ok(()), health)?;
    if host.auto_remove && !matches!(host.restart_policy.name.as_str(), "" | "no") {
        return refuse("can't create 'AutoRemove' container with restart policy");
    }
    for pair in host.extra_hosts.iter().flatten() {
        extra_host(pair)?;
    }
    if host.annotations.contains_key("") {
        return refuse("invalid Annotations: the empty string is not permitted as an annotation key");
    }
    Ok(())
}

/// A millisecond, in nanoseconds: probes cannot be timed finer.
const SHORTEST: i64 = 1_000_000;

fn health(check: &Healthcheck) -> Result<(), Failure> {
    let durations = [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ];
    if check.retries < 0 {
        return refuse("Retries in Healthcheck cannot be negative");
    }
    match durations.into_iter().find(|(_, nanos)| *nanos != 0 && *nanos < SHORTEST) {
        Some((name, _)) => refuse(format!("{name} in Healthcheck cannot be less than 1ms")),
        None => Ok(()),
    }
}

fn extra_host(pair: &str) -> Result<(), Failure> {
    // `name:address` of the API, `name=address` of newer command lines.
    let parts = pair.split_once('=').or_else(|| pair.split_once(':'));
    let Some((_, address)) = parts.filter(|(name, _)| !name.is_empty()) else {
        return refuse(format!("bad format for add-host: {pair:?}"));
    };
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    if address == "host-gateway" || bare.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    refuse(format!("invalid IP address in add-host: {address:?}"))
}
