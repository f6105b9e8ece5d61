//! Where a container is reached: its networks, in the order of their priority.

use gantry_compose_file::project::{NetworkOfService, Project};
use serde_json::{Map, Value, json};

use super::{Making, Unconvertible};
use crate::labels;
use crate::names;

/// The service's networks, the one with the highest priority first.
fn by_priority(making: &Making<'_>) -> Vec<String> {
    let priority = |name: &str| making.service.networks[name].as_ref().map_or(0, |n| n.priority);
    let mut all: Vec<String> = making.service.networks.keys().cloned().collect();
    all.sort_by(|a, b| priority(b).cmp(&priority(a)).then_with(|| a.cmp(b)));
    all
}

/// `NetworkMode`.
pub(super) fn mode(making: &Making<'_>) -> String {
    if !making.service.network_mode.is_empty() {
        return making.service.network_mode.clone();
    }
    if making.project.first_era {
        return "bridge".into();
    }
    match by_priority(making).first() {
        Some(first) => engine_name(making.project, first),
        None if making.project.networks.is_empty() => "none".into(),
        None => engine_name(making.project, "default"),
    }
}

fn engine_name(project: &Project, key: &str) -> String {
    project.networks.get(key).map_or_else(|| key.to_owned(), |network| network.name.clone())
}

/// `NetworkingConfig`; nothing where the container is in no network of the project.
pub(super) fn networking(making: &Making<'_>) -> Result<Option<Value>, Unconvertible> {
    if !making.service.network_mode.is_empty()
        || making.project.first_era
        || making.project.networks.is_empty()
    {
        return Ok(None);
    }
    let mut all = by_priority(making);
    if all.is_empty() {
        all.push("default".into());
    }
    if !making.all_networks {
        all.truncate(1);
    }
    let mut endpoints = Map::new();
    for (at, key) in all.iter().enumerate() {
        endpoints.insert(engine_name(making.project, key), endpoint(making, key, at == 0)?);
    }
    Ok(Some(json!({"EndpointsConfig": endpoints})))
}

/// The networks behind the first.
pub(super) fn further(making: &Making<'_>) -> Result<Vec<(String, Value)>, Unconvertible> {
    if !making.service.network_mode.is_empty() || making.project.first_era {
        return Ok(Vec::new());
    }
    let rest = by_priority(making).into_iter().skip(1);
    rest.map(|key| Ok((engine_name(making.project, &key), endpoint(making, &key, false)?))).collect()
}

fn endpoint(making: &Making<'_>, key: &str, first: bool) -> Result<Value, Unconvertible> {
    let service = making.service;
    let number = making.number.unwrap_or(1);
    let mut aliases = vec![match making.number {
        Some(_) => names::container(&making.project.name, service, number, making.separator),
        None => service.container_name.clone(),
    }];
    let none = NetworkOfService::default();
    let place = service.networks.get(key).and_then(Option::as_ref).unwrap_or(&none);
    if making.aliases {
        aliases.push(service.name.clone());
        aliases.extend(place.aliases.iter().cloned());
    }
    let mut mac = place.mac_address.clone();
    if first && !service.mac_address.is_empty() {
        if !mac.is_empty() && mac != service.mac_address {
            return Err(Unconvertible::MacAddress(key.to_owned()));
        }
        mac = service.mac_address.clone();
    }
    let mut body = json!({"Aliases": aliases, "Links": making.links, "MacAddress": mac});
    if !place.ipv4_address.is_empty() || !place.ipv6_address.is_empty() || !place.link_local_ips.is_empty() {
        body["IPAMConfig"] = json!({
            "IPv4Address": place.ipv4_address,
            "IPv6Address": place.ipv6_address,
            "LinkLocalIPs": place.link_local_ips,
        });
    }
    let mut options = place.driver_opts.clone();
    if !place.interface_name.is_empty() {
        options.insert("com.docker.network.endpoint.ifname".into(), place.interface_name.clone());
    }
    if !options.is_empty() {
        body["DriverOpts"] = json!(options);
    }
    if place.gw_priority != 0 {
        body["GwPriority"] = json!(place.gw_priority);
    }
    Ok(body)
}

/// The body of `POST /networks/create`.
pub fn body(project: &Project, key: &str, hash: &str) -> Value {
    let network = &project.networks[key];
    let mut all = network.labels.clone();
    all.insert(labels::NETWORK.into(), key.to_owned());
    all.insert(labels::PROJECT.into(), project.name.clone());
    all.insert(labels::VERSION.into(), labels::SPOKEN.into());
    all.insert(labels::CONFIG_HASH.into(), hash.to_owned());
    let mut body = json!({
        "Name": network.name,
        "Driver": network.driver,
        "Options": network.driver_opts,
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Labels": all,
    });
    if let Some(on) = network.enable_ipv4 {
        body["EnableIPv4"] = json!(on);
    }
    if let Some(on) = network.enable_ipv6 {
        body["EnableIPv6"] = json!(on);
    }
    let ipam = &network.ipam;
    if !ipam.driver.is_empty() || !ipam.config.is_empty() || !ipam.options.is_empty() {
        let pools: Vec<Value> = ipam
            .config
            .iter()
            .map(|pool| {
                let mut body = Map::new();
                for (name, value) in
                    [("Subnet", &pool.subnet), ("Gateway", &pool.gateway), ("IPRange", &pool.ip_range)]
                {
                    if !value.is_empty() {
                        body.insert(name.into(), json!(value));
                    }
                }
                if !pool.aux_addresses.is_empty() {
                    body.insert("AuxiliaryAddresses".into(), json!(pool.aux_addresses));
                }
                Value::Object(body)
            })
            .collect();
        body["IPAM"] = json!({"Driver": ipam.driver, "Config": pools, "Options": ipam.options});
    }
    body
}
