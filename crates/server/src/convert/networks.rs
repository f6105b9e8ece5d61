//! A container's place in its networks.

use super::host_config::port_map;
use gantry_api::container::{NetworkSettings, PortMap};
use gantry_api::network::{EndpointIpam, EndpointSettings};
use gantry_engine::record::{ContainerRecord, EndpointRecord};
use gantry_engine::spec::{EndpointSpec, NetworkMode};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The default network's name: its endpoint is repeated at the top for old clients.
const DEFAULT: &str = "bridge";

fn text(ip: Option<IpAddr>) -> String {
    ip.map(|ip| ip.to_string()).unwrap_or_default()
}

/// By network: what was asked and what is.
pub(crate) fn endpoints(record: &ContainerRecord) -> BTreeMap<String, EndpointSettings> {
    let asked = &record.spec.endpoints;
    let mut all: BTreeMap<String, EndpointSettings> = record
        .network
        .endpoints
        .iter()
        .map(|(name, endpoint)| (name.clone(), settings(asked.get(name), Some(endpoint))))
        .collect();
    if all.is_empty() {
        // Never started: what it will join.
        for (name, spec) in asked {
            all.insert(name.clone(), settings(Some(spec), None));
        }
        let mode = match &record.spec.network_mode {
            NetworkMode::Container(_) | NetworkMode::LeftNone => None,
            NetworkMode::Default => Some(DEFAULT.to_owned()),
            other => Some(other.to_string()),
        };
        if let Some(mode) = mode.filter(|_| !record.spec.network_disabled) {
            all.entry(mode).or_default();
        }
    }
    all
}

fn settings(asked: Option<&EndpointSpec>, is: Option<&EndpointRecord>) -> EndpointSettings {
    let mut settings = EndpointSettings::default();
    if let Some(asked) = asked {
        let ipam = EndpointIpam {
            ipv4_address: text(asked.ipv4),
            ipv6_address: text(asked.ipv6),
            link_local_ips: asked.link_local_ips.iter().map(IpAddr::to_string).collect(),
        };
        settings.ipam_config = Some(ipam).filter(|ipam| *ipam != EndpointIpam::default());
        settings.links = Some(asked.links.clone()).filter(|l| !l.is_empty());
        settings.aliases = Some(asked.aliases.clone()).filter(|a| !a.is_empty());
        settings.driver_opts = Some(asked.driver_opts.clone()).filter(|o| !o.is_empty());
        settings.gw_priority = asked.gw_priority;
    }
    if let Some(is) = is {
        settings.mac_address = is.mac_address.clone();
        settings.network_id = is.network.to_string();
        settings.endpoint_id = is.endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        settings.gateway = text(is.gateway);
        settings.ip_address = text(is.ipv4);
        settings.ip_prefix_len = if is.ipv4.is_some() { is.ipv4_prefix.into() } else { 0 };
        settings.ipv6_gateway = text(is.ipv6_gateway);
        settings.global_ipv6_address = text(is.ipv6);
        settings.global_ipv6_prefix_len = if is.ipv6.is_some() { is.ipv6_prefix.into() } else { 0 };
        settings.dns_names = Some(is.dns_names.clone()).filter(|names| !names.is_empty());
    }
    settings
}

/// What is published, and what is only exposed (with `null`). Empty while the container does not run.
pub(crate) fn ports(record: &ContainerRecord) -> PortMap {
    if !record.state.is_alive() {
        return PortMap::new();
    }
    let mut ports = port_map(&record.network.ports);
    for bindings in ports.values_mut() {
        *bindings = bindings.take().filter(|list| !list.is_empty());
    }
    let networked = record.network.endpoints.keys().any(|name| name != "none" && name != "host");
    if networked {
        for port in &record.spec.exposed_ports {
            ports.entry(port.to_string()).or_insert(None);
        }
    }
    ports
}

/// `NetworkSettings` of inspect.
pub(crate) fn network_settings(record: &ContainerRecord) -> NetworkSettings {
    let networks = endpoints(record);
    let first = networks.get(DEFAULT).cloned().unwrap_or_default();
    let sandbox = record.network.sandbox.clone().filter(|_| record.state.is_alive());
    NetworkSettings {
        bridge: String::new(),
        // Ours is named after the container; Docker's is a random word of the same shape.
        sandbox_id: sandbox.as_ref().map(|_| record.id.to_string()).unwrap_or_default(),
        sandbox_key: sandbox.unwrap_or_default(),
        ports: Some(ports(record)),
        endpoint_id: first.endpoint_id,
        gateway: first.gateway,
        global_ipv6_address: first.global_ipv6_address,
        global_ipv6_prefix_len: first.global_ipv6_prefix_len,
        ip_address: first.ip_address,
        ip_prefix_len: first.ip_prefix_len,
        ipv6_gateway: first.ipv6_gateway,
        mac_address: first.mac_address,
        networks: Some(networks),
        ..Default::default()
    }
}
