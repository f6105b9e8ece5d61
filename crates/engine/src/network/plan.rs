//! What a container asks of the networks, from its record. Pure but for finding the containers of links.

use std::net::IpAddr;

use gantry_names::ContainerId;
use gantry_network as net;
use gantry_network::{DnsSpec, HostPort, Link, Port, PortBinding, SandboxFiles, SandboxMode, SandboxSpec};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::ContainerRecord;
use crate::spec::{ContainerSpec, EndpointSpec, HostBinding, NetworkMode, PortSpec, Protocol};

/// The label that names the container whose published ports this one takes when that one is stopped.
const HEIR_OF: &str = "gantry.takes-ports-of";

/// A link with what it leads to.
pub(super) struct Linked {
    link: Link,
    address: Option<IpAddr>,
    environment: Vec<String>,
}

fn protocol(of: Protocol) -> net::Protocol {
    match of {
        Protocol::Tcp => net::Protocol::Tcp,
        Protocol::Udp => net::Protocol::Udp,
        Protocol::Sctp => net::Protocol::Sctp,
    }
}

fn port(of: &PortSpec) -> Port {
    Port { number: of.port, protocol: protocol(of.protocol) }
}

/// The resolver settings; an address that is none is refused.
pub(super) fn dns(spec: &ContainerSpec) -> Result<DnsSpec> {
    let parsed = spec.dns.iter().map(|text| {
        text.parse::<IpAddr>().map_err(|_| Error::Invalid(format!("invalid IP address in Dns: {text}")))
    });
    Ok(DnsSpec {
        servers: parsed.collect::<Result<_>>()?,
        search: spec.dns_search.clone(),
        options: spec.dns_options.clone(),
    })
}

/// The sandbox of a container.
pub(super) fn sandbox(record: &ContainerRecord, files: SandboxFiles) -> Result<SandboxSpec> {
    Ok(SandboxSpec {
        container: record.id.clone(),
        name: record.name.to_string(),
        mode: SandboxMode::Private,
        hostname: record.spec.hostname.clone(),
        domainname: record.spec.domainname.clone(),
        dns: dns(&record.spec)?,
        extra_hosts: record.spec.extra_hosts.clone(),
        ports: ports(&record.spec),
        heir_of: record.spec.labels.get(HEIR_OF).and_then(|id| ContainerId::parse(id).ok()),
        files: Some(files),
    })
}

/// One endpoint.
pub(super) fn endpoint(network: &str, asked: &EndpointSpec, links: Vec<Link>) -> Result<net::EndpointSpec> {
    let mac = match asked.mac_address.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| {
            Error::Invalid(format!("invalid config for network {network}: invalid MAC address {text}"))
        })?),
    };
    Ok(net::EndpointSpec {
        network: network.to_owned(),
        ipv4: asked.ipv4,
        ipv6: asked.ipv6,
        link_local: asked.link_local_ips.clone(),
        mac,
        aliases: asked.aliases.clone(),
        links,
        gateway_priority: asked.gw_priority,
        driver_options: asked.driver_opts.clone(),
    })
}

/// What is published: runs of consecutive ports are one binding, so that ten thousand cost what one costs.
pub(super) fn ports(spec: &ContainerSpec) -> Vec<PortBinding> {
    let mut all = Vec::new();
    for (inside, bindings) in &spec.port_bindings {
        let any = [HostBinding::default()];
        let bindings = if bindings.is_empty() { &any[..] } else { bindings };
        all.extend(bindings.iter().map(|binding| binding_of(inside, binding)));
    }
    if spec.publish_all_ports {
        let left = spec.exposed_ports.iter().filter(|port| !spec.port_bindings.contains_key(port));
        all.extend(left.map(|inside| binding_of(inside, &HostBinding::default())));
    }
    // By address first: a port published on two addresses is two runs, not a run of ones.
    all.sort_by_key(|binding: &PortBinding| {
        (binding.protocol.number(), binding.host_ip, binding.container_port)
    });
    let mut runs: Vec<PortBinding> = Vec::new();
    for next in all {
        match runs.last_mut() {
            Some(run) if follows(run, &next) => run.count += 1,
            _ => runs.push(next),
        }
    }
    runs
}

fn binding_of(inside: &PortSpec, binding: &HostBinding) -> PortBinding {
    let host_port = match binding.ports {
        None | Some((0, _)) => HostPort::Any,
        Some((first, last)) if first == last => HostPort::From(first),
        Some((first, last)) => HostPort::OneOf(first, last),
    };
    PortBinding {
        protocol: protocol(inside.protocol),
        container_port: inside.port,
        count: 1,
        host_ip: binding.ip,
        host_port,
    }
}

fn follows(run: &PortBinding, next: &PortBinding) -> bool {
    let (HostPort::From(first), HostPort::From(host)) = (run.host_port, next.host_port) else { return false };
    run.protocol == next.protocol
        && run.host_ip == next.host_ip
        && run.container_port.checked_add(run.count) == Some(next.container_port)
        && first.checked_add(run.count) == Some(host)
}

/// The environment of a container's links.
pub(super) fn link_environment(record: &ContainerRecord, links: &[Linked]) -> Vec<String> {
    let each = links.iter().filter_map(|linked| {
        let Linked { link, address, environment } = linked;
        let name = record.name.as_str();
        Some(net::files::links::environment(name, &link.alias, (*address)?, &link.exposed, environment))
    });
    each.flatten().collect()
}

/// The two names of a link: the other's, and what it is called here.
fn names(text: &str) -> (&str, &str) {
    let (who, alias) = text.rsplit_once(':').unwrap_or((text, text));
    (who, alias.rsplit('/').next().unwrap_or(alias))
}

/// A link to whoever has the name.
fn named(text: &str) -> Link {
    let (who, alias) = names(text);
    let name = who.trim_start_matches('/').to_owned();
    Link { container: None, name, alias: alias.to_owned(), exposed: Vec::new() }
}

impl Engine {
    /// The containers that `--link` names; each must run.
    pub(super) fn links(&self, record: &ContainerRecord) -> Result<Vec<Linked>> {
        record.spec.links.iter().map(|text| self.link(record, text)).collect()
    }

    /// The environment that the links which work at this moment give to a further process.
    pub(crate) fn link_environment(&self, record: &ContainerRecord) -> Vec<String> {
        let links = &record.spec.links;
        let working: Vec<Linked> = links.iter().filter_map(|text| self.link(record, text).ok()).collect();
        link_environment(record, &working)
    }

    /// Refuses links on the default bridge to containers that are not there. Elsewhere names say who is meant, later.
    pub(crate) fn check_links(&self, spec: &ContainerSpec) -> Result<()> {
        let on_default = matches!(&spec.network_mode, NetworkMode::Named(name) if name == "bridge");
        for who in spec.links.iter().filter(|_| on_default).map(|text| names(text).0) {
            self.find(who)
                .map_err(|err| Error::Invalid(format!("could not get container for {who}: {err}")))?;
        }
        Ok(())
    }

    fn link(&self, record: &ContainerRecord, text: &str) -> Result<Linked> {
        let (who, alias) = names(text);
        let missing = |err| Error::Invalid(format!("could not get container for {who}: {err}"));
        let other = self.find(who).map_err(missing)?.record();
        if !other.state.is_alive() {
            return Err(Error::Conflict(format!(
                "Cannot link to a non running container: /{} AS /{}/{alias}",
                other.name, record.name
            )));
        }
        let exposed =
            other.spec.exposed_ports.iter().chain(other.spec.port_bindings.keys()).map(port).collect();
        let networks = self.inner.network.owner()?;
        let address =
            networks.endpoints_of(&other.id).first().and_then(|endpoint| endpoint.addresses().next());
        let container = Some(other.id.clone());
        let link = Link { container, name: other.name.to_string(), alias: alias.to_owned(), exposed };
        Ok(Linked { link, address, environment: other.spec.env.clone() })
    }

    /// Every endpoint of a container, the first network's first.
    pub(super) fn endpoint_specs(
        &self,
        record: &ContainerRecord,
        links: &[Linked],
    ) -> Result<Vec<net::EndpointSpec>> {
        let primary = match &record.spec.network_mode {
            NetworkMode::Named(primary) => primary.as_str(),
            NetworkMode::LeftNone => "",
            _ => return Ok(Vec::new()),
        };
        let mut all = Vec::new();
        for (name, asked) in &record.spec.endpoints {
            let mut own = Vec::new();
            if name == primary {
                own.extend(links.iter().map(|linked| linked.link.clone()));
            }
            for text in &asked.links {
                // On a user network a link is only another name: its container may come later.
                own.push(self.link(record, text).map_or_else(|_| named(text), |linked| linked.link));
            }
            all.push(endpoint(name, asked, own)?);
        }
        all.sort_by_key(|endpoint| endpoint.network != primary);
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(pairs: &[(&str, Option<(u16, u16)>)]) -> ContainerSpec {
        let mut spec = ContainerSpec::default();
        for (inside, ports) in pairs {
            let binding = HostBinding { ip: None, ports: *ports };
            spec.port_bindings.entry(inside.parse().unwrap()).or_default().push(binding);
        }
        spec
    }

    #[test]
    fn consecutive_ports_are_one_run_and_others_are_not() {
        let runs = ports(&spec(&[
            ("80/tcp", Some((8000, 8000))),
            ("81/tcp", Some((8001, 8001))),
            ("82/tcp", Some((9000, 9000))),
            ("81/udp", Some((8001, 8001))),
            ("83/tcp", None),
            ("84/tcp", Some((7000, 7009))),
        ]));
        let shown: Vec<_> = runs.iter().map(|run| (run.container_port, run.count, run.host_port)).collect();
        assert_eq!(
            shown,
            [
                (80, 2, HostPort::From(8000)),
                (82, 1, HostPort::From(9000)),
                (83, 1, HostPort::Any),
                (84, 1, HostPort::OneOf(7000, 7009)),
                (81, 1, HostPort::From(8001)),
            ]
        );
    }

    #[test]
    fn ten_thousand_ports_are_one_binding() {
        let mut asked = ContainerSpec::default();
        for port in 10_000..20_000u16 {
            let binding = HostBinding { ip: None, ports: Some((port, port)) };
            asked.port_bindings.insert(PortSpec { port, protocol: Protocol::Udp }, vec![binding]);
        }
        let runs = ports(&asked);
        assert_eq!((runs.len(), runs[0].count), (1, 10_000));
    }

    #[test]
    fn publishing_all_takes_what_is_exposed_and_not_bound() {
        let mut asked = spec(&[("80/tcp", Some((8000, 8000)))]);
        asked.publish_all_ports = true;
        asked.exposed_ports = ["80/tcp", "90/tcp"].map(|port| port.parse().unwrap()).into();
        let runs = ports(&asked);
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[1].host_port, HostPort::Any);
    }
}
