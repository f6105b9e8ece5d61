//! What names mean: read from the rows of endpoints at the moment of the question.

use std::net::{IpAddr, SocketAddr};

use gantry_names::{ContainerId, NetworkId};

use crate::dns::{self, Asker, Names, Upstream};
use crate::files::resolv;
use crate::networks::Shared;
use crate::state::{HeldEndpoint, State};

const DOMAIN: u16 = 53;

impl Names for Shared {
    fn forward(&self, asker: &Asker, name: &str) -> Option<Vec<IpAddr>> {
        let mut state = self.state();
        let mut addresses = match asker {
            Asker::Sandbox(container) => in_sandbox(&state, container, name),
            Asker::Host(suffix) => on_host(&state, suffix, name),
        }?;
        state.turn = state.turn.wrapping_add(1);
        let by = state.turn % addresses.len().max(1);
        addresses.rotate_left(by);
        Some(addresses)
    }

    fn reverse(&self, asker: &Asker, address: IpAddr) -> Option<String> {
        let state = self.state();
        let found = |held: &&HeldEndpoint| held.live && held.record.addresses().any(|own| own == address);
        match asker {
            Asker::Sandbox(container) => {
                let networks = named_networks(&state, container);
                let held = networks.iter().flat_map(|id| state.on(id)).find(found)?;
                let network = &state.networks.get(&held.record.network)?.record;
                Some(format!("{}.{}", held.record.name, network.name))
            }
            Asker::Host(suffix) => {
                state.endpoints.values().find(found).map(|held| format!("{}.{suffix}", held.record.name))
            }
        }
    }

    fn upstreams(&self, asker: &Asker) -> Vec<Upstream> {
        let Asker::Sandbox(container) = asker else { return Vec::new() };
        let (asked, has_way_out) = {
            let state = self.state();
            let Some(sandbox) = state.sandboxes.get(container) else { return Vec::new() };
            (sandbox.spec.dns.servers.clone(), state.gateway(container).is_some())
        };
        let upstream =
            |server: IpAddr, from_sandbox| Upstream { server: SocketAddr::new(server, DOMAIN), from_sandbox };
        // The container's own choice may be a neighbour of its, or itself; asking ourselves would go round for ever.
        if !asked.is_empty() {
            return asked
                .into_iter()
                .filter(|s| *s != IpAddr::V4(dns::ADDRESS))
                .map(|s| upstream(s, true))
                .collect();
        }
        // A container without a way out has none over the host's name server either (CVE-2024-29018).
        if !has_way_out {
            return Vec::new();
        }
        let servers = match &self.config.dns.servers {
            set if !set.is_empty() => set.clone(),
            _ => self.host_resolver().servers,
        };
        servers.into_iter().map(|s| upstream(s, false)).filter(|u| !self.is_own_server(u.server)).collect()
    }
}

impl Shared {
    /// Whether an address is where our own server of the host listens: it would only send the question back.
    fn is_own_server(&self, server: SocketAddr) -> bool {
        self.config.host_names.as_ref().is_some_and(|names| {
            let everywhere = names.listen.ip().is_unspecified() && server.ip().is_loopback();
            names.listen.port() == server.port() && (names.listen.ip() == server.ip() || everywhere)
        })
    }

    /// The host's resolver file as it is now; reading it costs less than remembering when it changed.
    pub fn host_resolver(&self) -> crate::spec::DnsSpec {
        let text = std::fs::read_to_string(&self.config.resolv_conf).unwrap_or_default();
        resolv::parse(&text)
    }
}

fn named_networks(state: &State, container: &ContainerId) -> Vec<NetworkId> {
    state.of(container).map(|held| held.record.network.clone()).filter(|id| state.has_names(id)).collect()
}

fn in_sandbox(state: &State, container: &ContainerId, name: &str) -> Option<Vec<IpAddr>> {
    let networks = named_networks(state, container);
    let own = |network: &NetworkId| state.of(container).find(|held| held.record.network == *network);
    let lookup = |network: &NetworkId, name: &str| -> Vec<IpAddr> {
        // A link is a private name for another container.
        let linked = own(network)
            .and_then(|held| held.record.links.iter().find(|link| link.alias.eq_ignore_ascii_case(name)));
        state
            .on(network)
            .filter(|held| held.live)
            .filter(|held| match linked {
                Some(link) => {
                    link.container.as_ref() == Some(&held.record.container) || is_named(held, &link.name)
                }
                None => is_named(held, name),
            })
            .flat_map(|held| held.record.addresses().collect::<Vec<_>>())
            .collect()
    };
    let mut found: Vec<IpAddr> = networks.iter().flat_map(|network| lookup(network, name)).collect();
    if found.is_empty()
        && let Some((host, domain)) = name.rsplit_once('.')
    {
        let of_that_name = networks.iter().filter(|id| {
            state.networks.get(id).is_some_and(|held| held.record.name.eq_ignore_ascii_case(domain))
        });
        found = of_that_name.flat_map(|network| lookup(network, host)).collect();
    }
    (!found.is_empty()).then_some(found)
}

fn on_host(state: &State, suffix: &str, name: &str) -> Option<Vec<IpAddr>> {
    let name = name.strip_suffix(suffix)?.strip_suffix('.')?;
    let found: Vec<IpAddr> = state
        .endpoints
        .values()
        .filter(|held| held.live && is_named(held, name))
        .flat_map(|held| held.record.addresses().collect::<Vec<_>>())
        .collect();
    (!found.is_empty()).then_some(found)
}

fn is_named(held: &HeldEndpoint, name: &str) -> bool {
    held.record.dns_names.iter().any(|own| own.eq_ignore_ascii_case(name))
}
