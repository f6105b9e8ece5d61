//! The engine's own networks: the default bridge, `host` and `none`; and reading the rows at start.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gantry_names::NetworkId;
use gantry_netlink::Address;

use super::create::finish;
use super::{Networks, Shared, now_ns};
use crate::driver::{bridge, kernel};
use crate::failure::Error;
use crate::ipam;
use crate::options;
use crate::prefix::Prefix;
use crate::record::{Change, Driver, Network, Pool};
use crate::spec::PoolSpec;
use crate::state::{HeldEndpoint, HeldNetwork, HeldSandbox};

impl Networks {
    /// Reads the rows and makes stand what they say: bridges, rules, the predefined networks.
    pub(super) fn load(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let kept = shared.records.load()?;
        {
            let mut state = shared.state();
            for record in kept.networks {
                state.networks.insert(record.id.clone(), HeldNetwork { record, ruled: true, leaving: false });
            }
            for spec in kept.sandboxes {
                let path = (spec.mode == crate::spec::SandboxMode::Private)
                    .then(|| shared.namespace_path(&spec.container));
                state.sandboxes.insert(spec.container.clone(), HeldSandbox { spec, path, server: None });
            }
            for record in kept.endpoints {
                // A row whose network or sandbox is gone is half a removal: it is finished now.
                if !state.networks.contains_key(&record.network)
                    || !state.sandboxes.contains_key(&record.container)
                {
                    shared.write(&[Change::RemoveEndpoint(record.id)])?;
                    continue;
                }
                for port in &record.ports {
                    state.ports.insert(record.id.clone(), port.clone());
                }
                let held = HeldEndpoint { record, holds: Vec::new(), ruled: true, live: true };
                state.endpoints.insert(held.record.id.clone(), held);
            }
        }
        shared.drop_missing_bridge_rows();
        shared.predefine("none", Driver::Null)?;
        shared.predefine("host", Driver::Host)?;
        shared.default_bridge()?;
        let networks: Vec<Network> =
            shared.state().networks.values().map(|held| held.record.clone()).collect();
        for network in networks {
            // One network that cannot stand (its parent interface is away) must not keep the others down.
            if let Some(carrier) = crate::driver::carrier(network.driver)
                && let Err(error) = carrier.make(&network, &mut shared.link())
            {
                tracing::error!(%error, network = network.name, "cannot bring this network up");
            }
            if network.driver == Driver::Bridge && shared.config.ip_forward && !network.internal {
                super::create::forward_packets(&network)?;
            }
        }
        let facts = shared.state().facts();
        shared.firewall.assert(&facts)
    }
}

impl Shared {
    /// A default bridge that is switched off now leaves no rules behind.
    fn drop_missing_bridge_rows(&self) {
        if !self.config.default_bridge.enabled {
            self.state()
                .networks
                .retain(|_, held| !(held.record.predefined && held.record.driver == Driver::Bridge));
        }
    }

    fn predefine(&self, name: &str, driver: Driver) -> Result<(), Error> {
        if self.state().networks.values().any(|held| held.record.name == name) {
            return Ok(());
        }
        let network = blank(name, driver);
        self.write(&[Change::PutNetwork(network.clone())])?;
        let held = HeldNetwork { record: network, ruled: false, leaving: false };
        self.state().networks.insert(held.record.id.clone(), held);
        Ok(())
    }

    /// The default bridge, as the flags say now. While containers are on it its subnet stays what it was.
    fn default_bridge(&self) -> Result<(), Error> {
        let config = &self.config.default_bridge;
        if !config.enabled {
            return Ok(());
        }
        let present = self
            .state()
            .networks
            .values()
            .find(|held| held.record.name == "bridge")
            .map(|h| h.record.clone());
        let mut network = present.clone().unwrap_or_else(|| blank("bridge", Driver::Bridge));
        network.interface = config.name.clone();
        network.ipv6 = config.ipv6;
        network.options = self.default_options();
        let busy = self.state().on(&network.id).next().is_some();
        let pools = self.default_pools(&network)?;
        if !busy || network.pools.is_empty() {
            network.pools = pools;
        } else if told(&network.pools) != told(&pools) {
            tracing::warn!(
                now = told(&network.pools),
                asked = told(&pools),
                "containers are on the default bridge: its addresses stay until a start that finds none"
            );
        }
        // The addresses of the host's own bridge are the host's.
        let own = |before: &&Network| !config.external && before.interface == network.interface;
        if let Some(before) = present.as_ref().filter(own) {
            self.drop_old_addresses(before, &network)?;
        }
        if Some(&network) != present.as_ref() {
            self.write(&[Change::PutNetwork(network.clone())])?;
        }
        let held = HeldNetwork { record: network, ruled: true, leaving: false };
        self.state().networks.insert(held.record.id.clone(), held);
        Ok(())
    }

    /// Other flags than last time: the addresses that the bridge had by them go.
    fn drop_old_addresses(&self, before: &Network, now: &Network) -> Result<(), Error> {
        let mut host = self.link();
        let bridge = || kernel(format!("bridge {}", before.interface));
        let Some(link) = host.link(&before.interface).map_err(bridge())? else { return Ok(()) };
        let own = |network: &Network| -> Vec<(IpAddr, u8)> {
            let pools = network.pools.iter();
            pools.filter_map(|pool| Some((pool.gateway?, pool.subnet.length()))).collect()
        };
        let kept = own(now);
        for (address, length) in own(before).into_iter().filter(|old| !kept.contains(old)) {
            host.delete_address(&Address { link: link.index, address, length }).map_err(bridge())?;
        }
        Ok(())
    }

    fn default_options(&self) -> BTreeMap<String, String> {
        let config = &self.config.default_bridge;
        let host_ip = config.host_ip.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let mtu = if config.mtu == 0 { 1500 } else { config.mtu };
        [
            (options::DEFAULT_BRIDGE, "true".to_owned()),
            (options::ICC, config.icc.to_string()),
            (options::MASQUERADE, config.masquerade.to_string()),
            (options::HOST_BINDING, host_ip.to_string()),
            (options::BRIDGE_NAME, config.name.clone()),
            (options::MTU, mtu.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// `--bip`, else what the interface has already, else what the row had, else a free pool.
    fn default_pools(&self, network: &Network) -> Result<Vec<Pool>, Error> {
        let config = &self.config.default_bridge;
        let standing = bridge::addresses(&config.name, &mut self.link())?;
        if config.external && standing.is_none() {
            return Err(Error::ExternalBridge(config.name.clone()));
        }
        let standing = standing.unwrap_or_default();
        let mut pools = Vec::new();
        let families = [
            (false, config.bip, config.fixed_cidr, config.default_gateway),
            (true, config.bip6, config.fixed_cidr_v6, config.default_gateway_v6),
        ];
        for (ipv6, bip, fixed, gateway) in families {
            if ipv6 && !config.ipv6 {
                continue;
            }
            let own = |prefix: &&Prefix| prefix.is_ipv6() == ipv6 && !is_link_local(prefix.address());
            let known = network.pools.iter().find(|pool| pool.subnet.is_ipv6() == ipv6);
            let known = known.and_then(|pool| Prefix::new(pool.gateway?, pool.subnet.length()));
            let holds = |prefix: &Prefix| fixed.is_none_or(|range| prefix.network().covers(&range));
            let suited = || standing.iter().filter(own).find(|prefix| holds(prefix)).copied();
            let address = bip.or_else(suited).or(known.filter(holds));
            // A fixed range outside of what is known is the subnet itself.
            let from_range = fixed.filter(|_| address.is_none());
            let misplaced = bip.is_some_and(|bip| !holds(&bip))
                || config.external && from_range.is_some() && standing.iter().any(|prefix| own(&prefix));
            if let Some(range) = fixed.filter(|_| misplaced) {
                return Err(Error::InvalidOption {
                    option: if ipv6 { "fixed-cidr-v6" } else { "fixed-cidr" }.to_owned(),
                    why: format!("{range} is in no subnet of the bridge {}", config.name),
                });
            }
            let (subnet, host) = match (address, from_range) {
                (_, Some(range)) => (range.network(), None),
                (Some(address), None) => (address.network(), Some(address.address())),
                (None, None) => {
                    let state = self.state();
                    let taken: Vec<Prefix> = state
                        .subnets()
                        .filter(|(other, _)| other.id != network.id)
                        .map(|(_, subnet)| subnet)
                        .collect();
                    drop(state);
                    let taken: Vec<Prefix> = taken.into_iter().chain(self.host_routes()?).collect();
                    (
                        ipam::choose_subnet(
                            &ipam::pools(&self.config.default_address_pools, self.site),
                            ipv6,
                            &taken,
                        )?,
                        None,
                    )
                }
            };
            let range = fixed.filter(|range| *range != subnet).map(|range| range.network());
            let host = host.filter(|host| *host != subnet.first());
            let asked =
                PoolSpec { subnet: Some(subnet), ip_range: None, gateway: host, ..PoolSpec::default() };
            let mut pool = finish(subnet, &asked, false)?;
            pool.ip_range = range;
            if let Some(gateway) = gateway {
                // The bridge keeps its own address; containers are sent to another gateway.
                if let Some(own) = pool.gateway {
                    pool.aux_addresses.insert("DefaultGatewayIPv4".to_owned(), gateway);
                    pool.aux_addresses.insert("bridge".to_owned(), own);
                }
            }
            pools.push(pool);
        }
        Ok(pools)
    }

    /// The gateway that containers of a network are given.
    pub(super) fn container_gateway(&self, network: &Network, pool: &Pool) -> Option<IpAddr> {
        if network.internal {
            return None;
        }
        let config = &self.config.default_bridge;
        let set = if pool.subnet.is_ipv6() { config.default_gateway_v6 } else { config.default_gateway };
        match network.predefined {
            true => set.or(pool.gateway),
            false => pool.gateway,
        }
    }
}

/// A subnet, its gateway, and what containers get of it where that is not all.
fn told(pools: &[Pool]) -> String {
    let one = |pool: &Pool| {
        let gateway = pool.gateway.map_or_else(String::new, |gateway| format!(" by {gateway}"));
        let range = pool.ip_range.map_or_else(String::new, |range| format!(" from {range}"));
        format!("{}{gateway}{range}", pool.subnet)
    };
    pools.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn blank(name: &str, driver: Driver) -> Network {
    Network {
        id: NetworkId::random(),
        name: name.to_owned(),
        driver,
        created_ns: now_ns(),
        pools: Vec::new(),
        ipam_driver: "default".to_owned(),
        ipam_options: None,
        internal: false,
        attachable: false,
        ipv4: true,
        ipv6: false,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        predefined: true,
        interface: String::new(),
    }
}
