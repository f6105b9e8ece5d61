//! Networks on the wire.

use crate::failure::Failure;
use crate::timestamp::rfc3339_nano;
use gantry_api::network::{EndpointResource, Ipam, IpamConfig, Network, NetworkCreate};
use gantry_network::{Endpoint, IpamSpec, NetworkSpec, PoolSpec, Prefix};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A network; with its endpoints where they are asked for.
pub(crate) fn network(network: &gantry_network::Network, endpoints: Option<&[Endpoint]>) -> Network {
    let created = Timestamp::from_nanosecond(network.created_ns.into()).unwrap_or_default();
    Network {
        name: network.name.clone(),
        id: network.id.to_string(),
        created: rfc3339_nano(created),
        scope: "local".into(),
        driver: network.driver.as_str().into(),
        enable_ipv4: network.ipv4,
        enable_ipv6: network.ipv6,
        ipam: Ipam {
            driver: network.ipam_driver.clone(),
            options: network.ipam_options.clone(),
            config: Some(network.pools.iter().map(|own| pool(own, network.predefined)).collect())
                .filter(|pools: &Vec<_>| !(pools.is_empty() && network.predefined)),
        },
        internal: network.internal,
        attachable: network.attachable,
        containers: Some(endpoints.into_iter().flatten().map(resource).collect()),
        options: Some(network.options.clone()),
        labels: Some(network.labels.clone()),
        ..Default::default()
    }
}

/// A subnet that was asked for is shown as it was asked for: without the gateway that it got.
fn pool(pool: &gantry_network::Pool, predefined: bool) -> IpamConfig {
    let gateway = pool.gateway.filter(|_| predefined || !(pool.configured && pool.gateway_ours));
    IpamConfig {
        subnet: pool.subnet.to_string(),
        ip_range: pool.ip_range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
        aux_addresses: pool.aux_addresses.iter().map(|(name, ip)| (name.clone(), ip.to_string())).collect(),
    }
}

fn resource(endpoint: &Endpoint) -> (String, EndpointResource) {
    let address = |prefix: Option<Prefix>| prefix.map(|prefix| prefix.to_string()).unwrap_or_default();
    let resource = EndpointResource {
        name: endpoint.name.clone(),
        endpoint_id: endpoint.id.to_string(),
        mac_address: endpoint.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        ipv4_address: address(endpoint.ipv4),
        ipv6_address: address(endpoint.ipv6),
    };
    (endpoint.container.to_string(), resource)
}

/// What to make.
///
/// # Errors
/// Addresses that are none, and kinds of networks that only clusters have.
pub(crate) fn spec(create: NetworkCreate) -> Result<NetworkSpec, Failure> {
    let of_a_cluster = match (create.scope.as_str(), create.ingress) {
        ("swarm", _) => "cannot create a swarm scoped network when swarm is not active",
        (_, true) => "Ingress network can only be global scope network",
        _ => "",
    };
    if !of_a_cluster.is_empty() {
        return Err(Failure::new(gantry_errdefs::Class::Forbidden, of_a_cluster));
    }
    if create.config_only || create.config_from.as_ref().is_some_and(|from| !from.network.is_empty()) {
        return Err(Failure::not_implemented("this engine has no networks that are configuration only"));
    }
    let ipam = create.ipam.unwrap_or_default();
    let mut pools = Vec::new();
    let mut wrong = Vec::new();
    for config in ipam.config.unwrap_or_default() {
        match pool_spec(config) {
            Ok(pool) => pools.push(pool),
            Err(why) => wrong.push(why),
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::invalid(format!("invalid network config:\n{}", wrong.join("\n"))));
    }
    Ok(NetworkSpec {
        name: create.name,
        driver: create.driver,
        ipam: IpamSpec { driver: ipam.driver, options: ipam.options, pools },
        internal: create.internal,
        attachable: create.attachable,
        ipv4: create.enable_ipv4,
        ipv6: create.enable_ipv6,
        labels: create.labels.unwrap_or_default(),
        options: create.options.unwrap_or_default(),
    })
}

fn pool_spec(config: IpamConfig) -> Result<PoolSpec, String> {
    let prefix = |text: &str, what: &str| match text {
        "" => Ok(None),
        text => text
            .parse::<Prefix>()
            .map(Some)
            .map_err(|_| format!("invalid {what} {text}: invalid CIDR block notation")),
    };
    let without_subnet = config.subnet.is_empty()
        && !(config.gateway.is_empty() && config.ip_range.is_empty() && config.aux_addresses.is_empty());
    if without_subnet {
        return Err("invalid subnet : invalid CIDR block notation".to_owned());
    }
    let address = |text: &str, what: String| {
        text.parse::<IpAddr>().map_err(|_| format!("invalid {what}: invalid address: {text}"))
    };
    let aux: Result<BTreeMap<String, IpAddr>, String> = config
        .aux_addresses
        .into_iter()
        .map(|(name, text)| Ok((name.clone(), address(&text, format!("auxiliary address {name}"))?)))
        .collect();
    Ok(PoolSpec {
        subnet: prefix(&config.subnet, "subnet")?,
        ip_range: prefix(&config.ip_range, "ip-range")?,
        gateway: match config.gateway.as_str() {
            "" => None,
            text => Some(address(text, format!("gateway {text}"))?),
        },
        aux_addresses: aux?,
    })
}
