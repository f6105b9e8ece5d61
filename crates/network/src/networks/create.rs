//! `docker network create`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use gantry_names::NetworkId;

use super::{Networks, Shared, now_ns};
use crate::driver::{carrier, kernel};
use crate::failure::Error;
use crate::firewall::BridgeFacts;
use crate::ipam;
use crate::prefix::Prefix;
use crate::record::{Change, Driver, Network, Pool};
use crate::spec::{NetworkSpec, PoolSpec};
use crate::state::{HeldNetwork, State};
use crate::sysctl;

/// A network that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The network.
    pub network: Network,
    /// What the user should know.
    pub warnings: Vec<String>,
}

const PREDEFINED: [&str; 4] = ["bridge", "host", "none", "default"];

impl Networks {
    /// Makes a network.
    pub fn create(&self, spec: NetworkSpec) -> Result<Created, Error> {
        let shared = &self.shared;
        check_name(&spec.name)?;
        let driver = driver(&spec.driver)?;
        let _making = shared.making();
        let routes = shared.host_routes()?;
        let mut network = {
            let state = shared.state();
            if state.networks.values().any(|held| held.record.name == spec.name) {
                return Err(Error::NetworkExists(spec.name));
            }
            shared.decide(&state, driver, spec, &routes)?
        };
        if let Some(carrier) = carrier(driver) {
            network.interface = carrier.check(&network, &mut shared.link())?;
        }
        check_bridge_name(&shared.state(), &network)?;
        shared.bring_up(network.clone())?;
        let mut warnings = Vec::new();
        if driver == Driver::Bridge && !shared.config.ip_forward && !network.internal {
            warnings.push("IPv4 forwarding is disabled.".to_owned());
        }
        Ok(Created { network, warnings })
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    if PREDEFINED.contains(&name) {
        return Err(Error::PredefinedName(name.to_owned()));
    }
    // Anything but nothing is a name, as in Docker: a space, a slash. It never becomes a path or an interface's name.
    if name.trim().is_empty() {
        return Err(Error::NetworkName);
    }
    Ok(())
}

fn driver(word: &str) -> Result<Driver, Error> {
    match word {
        "" | "bridge" | "default" => Ok(Driver::Bridge),
        "macvlan" => Ok(Driver::Macvlan),
        "ipvlan" => Ok(Driver::Ipvlan),
        "host" => Err(Error::OnlyOne("host")),
        "null" | "none" => Err(Error::OnlyOne("null")),
        other => Err(Error::Driver(other.to_owned())),
    }
}

fn check_bridge_name(state: &State, network: &Network) -> Result<(), Error> {
    let bridge = |n: &Network| n.driver == Driver::Bridge && !n.interface.is_empty();
    let clash = state.networks.values().map(|held| &held.record).find(|other| {
        bridge(network) && bridge(other) && other.interface == network.interface && other.id != network.id
    });
    match clash {
        None => Ok(()),
        Some(other) => Err(Error::NetworkConflict {
            id: network.id.to_string(),
            bridge: network.interface.clone(),
            other_id: other.id.to_string(),
            other_bridge: other.interface.clone(),
            what: "networks have same bridge name",
        }),
    }
}

impl Shared {
    /// Subnets that the host reaches already.
    pub(super) fn host_routes(&self) -> Result<Vec<Prefix>, Error> {
        let routes = self.link().routes().map_err(kernel("read the host's routes"))?;
        let prefixes = routes.iter().map(|route| route.destination).filter(|(_, length)| *length > 0);
        Ok(prefixes.filter_map(|(address, length)| Prefix::new(address, length)).collect())
    }

    /// Turns what was asked for into a network, without making anything.
    fn decide(
        &self,
        state: &State,
        driver: Driver,
        spec: NetworkSpec,
        routes: &[Prefix],
    ) -> Result<Network, Error> {
        let (ipv4, ipv6) = (spec.ipv4.unwrap_or(true), spec.ipv6.unwrap_or(false));
        // As Docker: IPv6 pools of a network without IPv6 mean nothing, however they are written.
        let counts = |pool: &&PoolSpec| ipv6 || !pool.subnet.is_some_and(|subnet| subnet.is_ipv6());
        let problems: Vec<String> =
            spec.ipam.pools.iter().filter(counts).filter_map(|pool| ipam::validate(pool).err()).collect();
        if !problems.is_empty() {
            return Err(Error::InvalidNetwork(problems.join("\n")));
        }
        if !ipv4 && !ipv6 {
            return Err(Error::InvalidNetwork("IPv4 or IPv6 must be enabled".to_owned()));
        }
        if !matches!(spec.ipam.driver.as_str(), "" | "default" | "null") {
            return Err(Error::NoAddressDriver(spec.ipam.driver));
        }
        let mut pools = Vec::new();
        if spec.ipam.driver != "null" {
            for (family, enabled) in [(false, ipv4), (true, ipv6)] {
                if enabled {
                    self.pools(state, &spec.ipam.pools, family, routes, &mut pools)?;
                }
            }
        }
        // Internal networks of sub-interfaces have no way out either, so nobody is a gateway there.
        if spec.internal && driver != Driver::Bridge {
            pools.iter_mut().for_each(|pool: &mut Pool| pool.gateway = None);
        }
        Ok(Network {
            id: NetworkId::random(),
            name: spec.name,
            driver,
            created_ns: now_ns(),
            pools,
            ipam_driver: if spec.ipam.driver.is_empty() { "default".to_owned() } else { spec.ipam.driver },
            ipam_options: spec.ipam.options,
            internal: spec.internal,
            attachable: spec.attachable,
            ipv4,
            ipv6,
            labels: spec.labels,
            options: spec.options,
            predefined: false,
            interface: String::new(),
        })
    }

    /// The pools of one family: those asked for, or one from the default pools.
    fn pools(
        &self,
        state: &State,
        asked: &[PoolSpec],
        ipv6: bool,
        routes: &[Prefix],
        out: &mut Vec<Pool>,
    ) -> Result<(), Error> {
        let mine: Vec<&PoolSpec> =
            asked.iter().filter(|pool| pool.subnet.is_some_and(|subnet| subnet.is_ipv6() == ipv6)).collect();
        let used: Vec<Prefix> = state.subnets().map(|(_, subnet)| subnet).collect();
        for pool in &mine {
            let Some(subnet) = pool.subnet else { continue };
            if used.iter().chain(out.iter().map(|pool| &pool.subnet)).any(|other| other.overlaps(&subnet)) {
                return Err(Error::PoolOverlaps);
            }
            out.push(finish(subnet, pool, true)?);
        }
        if mine.is_empty() {
            // A pool without a subnet may still say where the gateway is, or name auxiliary addresses.
            let open = asked.iter().find(|pool| pool.subnet.is_none() && !ipv6);
            let taken: Vec<Prefix> =
                used.iter().chain(routes).chain(out.iter().map(|pool| &pool.subnet)).copied().collect();
            let pools = ipam::pools(&self.config.default_address_pools, self.site);
            let subnet = ipam::choose_subnet(&pools, ipv6, &taken)?;
            let empty = PoolSpec::default();
            out.push(finish(subnet, open.unwrap_or(&empty), false)?);
        }
        Ok(())
    }

    /// Makes a decided network stand: row, links, rules. Undone backwards where it fails.
    pub(super) fn bring_up(&self, network: Network) -> Result<(), Error> {
        let id = network.id.clone();
        self.state()
            .networks
            .insert(id.clone(), HeldNetwork { record: network.clone(), ruled: false, leaving: false });
        let made = self.write(&[Change::PutNetwork(network.clone())]).and_then(|()| self.make(&network));
        if let Err(error) = made {
            self.take_down(&network);
            return Err(error);
        }
        Ok(())
    }

    /// The kernel's part of a network, also for one that stands already.
    pub(super) fn make(&self, network: &Network) -> Result<(), Error> {
        if let Some(carrier) = carrier(network.driver) {
            carrier.make(network, &mut self.link())?;
        }
        let Some(facts) = BridgeFacts::of(network) else { return Ok(()) };
        if self.config.ip_forward && !network.internal {
            forward_packets(network)?;
        }
        self.change_rules(
            |state| state.networks.get_mut(&network.id).map(|held| held.ruled = true),
            |writer, _| writer.add_bridge(&facts),
        )
        .map(drop)
    }

    /// Undoes [`Shared::bring_up`], as far as it came. Failures are told: there is a first cause already.
    fn take_down(&self, network: &Network) {
        if let Err(error) = self.unmake(network) {
            tracing::warn!(%error, network = network.name, "undoing a failed network creation");
        }
    }

    /// Takes rules, links and row of a network away.
    pub(super) fn unmake(&self, network: &Network) -> Result<(), Error> {
        let ruled = self.state().networks.get(&network.id).is_some_and(|held| held.ruled);
        if let (Some(facts), true) = (BridgeFacts::of(network), ruled) {
            self.change_rules(
                |state| state.networks.get_mut(&network.id).map(|held| held.ruled = false),
                |writer, _| writer.remove_bridge(&facts),
            )?;
        }
        if let Some(carrier) = carrier(network.driver).filter(|_| !network.interface.is_empty()) {
            carrier.unmake(network, &mut self.link())?;
        }
        self.write(&[Change::RemoveNetwork(network.id.clone())])?;
        self.state().networks.remove(&network.id);
        Ok(())
    }
}

/// A pool with its gateway.
pub(super) fn finish(subnet: Prefix, asked: &PoolSpec, configured: bool) -> Result<Pool, Error> {
    let aux: BTreeMap<String, IpAddr> = asked.aux_addresses.clone();
    if let Some((name, address)) = aux.iter().find(|(_, address)| !subnet.contains(**address)) {
        return Err(Error::InvalidNetwork(format!(
            "invalid auxiliary address {name}: parent subnet {subnet} doesn't contain this address {address}"
        )));
    }
    let taken: BTreeSet<IpAddr> = aux.values().copied().collect();
    let gateway = match asked.gateway {
        Some(gateway) if !subnet.contains(gateway) => {
            return Err(Error::InvalidNetwork(format!(
                "invalid gateway {gateway}: parent subnet {subnet} doesn't contain this address"
            )));
        }
        Some(gateway) => Some(gateway),
        None => ipam::default_gateway(subnet, asked.ip_range, &taken),
    };
    let gateway_ours = asked.gateway.is_none();
    Ok(Pool { subnet, ip_range: asked.ip_range, gateway, gateway_ours, aux_addresses: aux, configured })
}

/// A bridge network needs a host that forwards.
pub(super) fn forward_packets(network: &Network) -> Result<(), Error> {
    sysctl::write_if_there("net/ipv4/ip_forward", "1")?;
    if network.ipv6 {
        sysctl::write_if_there("net/ipv6/conf/default/forwarding", "1")?;
        sysctl::write_if_there("net/ipv6/conf/all/forwarding", "1")?;
    }
    Ok(())
}
