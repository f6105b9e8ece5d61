//! A container's networks as they are at the moment, for `inspect` and `ps`.

use std::collections::BTreeMap;

use gantry_names::NetworkId;
use gantry_network::{Endpoint, Protocol as NetProtocol, PublishedPort};

use super::{Networking, plain};
use crate::record::{ContainerRecord, EndpointRecord, NetworkRecord};
use crate::spec::{EndpointSpec, HostBinding, NetworkMode, PortSpec, Protocol};

impl Networking {
    /// Addresses and ports of the moment; for a stopped container, the networks it will join.
    pub(crate) fn shown(&self, record: &ContainerRecord) -> NetworkRecord {
        let mut shown = NetworkRecord::default();
        let Some(networks) = &self.networks else { return shown };
        shown.sandbox = networks
            .sandbox(&record.id)
            .and_then(|sandbox| sandbox.path)
            .map(|path| path.display().to_string())
            .or_else(|| plain::namespace(record));
        let here = networks.endpoints_of(&record.id);
        let named = match &record.spec.network_mode {
            NetworkMode::None => vec![("none".to_owned(), EndpointSpec::default())],
            NetworkMode::Host => vec![("host".to_owned(), EndpointSpec::default())],
            _ => record.spec.endpoints.clone().into_iter().collect(),
        };
        for (name, asked) in named {
            let Ok(network) = networks.get(&name) else { continue };
            let endpoint = here.iter().find(|endpoint| endpoint.network == network.id);
            let row = match endpoint {
                Some(endpoint) => living(endpoint, network.predefined),
                None => match plain::endpoint(record, &network).filter(|_| record.state.is_alive()) {
                    Some(bare) => EndpointRecord { endpoint: Some(bare.id), ..resting(network.id, &asked) },
                    None => {
                        // What has run keeps the names it was called by, as Docker shows them.
                        let called = !network.predefined && record.state.exit().is_some();
                        let dns_names = if called { names(record, &asked) } else { Vec::new() };
                        EndpointRecord { dns_names, ..resting(network.id, &asked) }
                    }
                },
            };
            shown.endpoints.insert(name, row);
        }
        shown.ports = ports(&networks.ports_of(&record.id));
        shown
    }
}

fn names(record: &ContainerRecord, asked: &EndpointSpec) -> Vec<String> {
    let mut names = vec![record.name.to_string()];
    names.extend(asked.aliases.iter().cloned());
    names.push(record.id.short().to_string());
    names
}

fn resting(network: NetworkId, asked: &EndpointSpec) -> EndpointRecord {
    EndpointRecord {
        network,
        endpoint: None,
        ipv4: None,
        ipv4_prefix: 0,
        gateway: None,
        ipv6: None,
        ipv6_prefix: 0,
        ipv6_gateway: None,
        mac_address: asked.mac_address.clone(),
        dns_names: Vec::new(),
    }
}

fn living(endpoint: &Endpoint, nameless: bool) -> EndpointRecord {
    EndpointRecord {
        network: endpoint.network.clone(),
        endpoint: Some(endpoint.id.clone()),
        ipv4: endpoint.ipv4.map(|prefix| prefix.address()),
        ipv4_prefix: endpoint.ipv4.map_or(0, |prefix| prefix.length()),
        gateway: endpoint.gateway_v4,
        ipv6: endpoint.ipv6.map(|prefix| prefix.address()),
        ipv6_prefix: endpoint.ipv6.map_or(0, |prefix| prefix.length()),
        ipv6_gateway: endpoint.gateway_v6,
        mac_address: endpoint.mac.map_or_else(String::new, |mac| mac.to_string()),
        // The default bridge answers no names.
        dns_names: if nameless { Vec::new() } else { endpoint.dns_names.clone() },
    }
}

fn ports(published: &[PublishedPort]) -> BTreeMap<PortSpec, Vec<HostBinding>> {
    let mut all: BTreeMap<PortSpec, Vec<HostBinding>> = BTreeMap::new();
    for run in published {
        let protocol = match run.protocol {
            NetProtocol::Tcp => Protocol::Tcp,
            NetProtocol::Udp => Protocol::Udp,
            NetProtocol::Sctp => Protocol::Sctp,
        };
        for step in 0..run.count {
            let port = PortSpec { port: run.container_port.saturating_add(step), protocol };
            let host = run.host_port.saturating_add(step);
            all.entry(port)
                .or_default()
                .push(HostBinding { ip: Some(run.host_ip), ports: Some((host, host)) });
        }
    }
    all
}
