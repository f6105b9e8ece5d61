//! A bridge on this host; every endpoint is a pair of cable ends, one in the bridge, one in the sandbox.

use gantry_netlink::{Address, BridgePort, Kind, LinkChange, Namespace, NewLink, Place, Socket};

use super::{Carrier, kernel, lacking};
use crate::failure::Error;
use crate::mac::Mac;
use crate::options::{BRIDGE_NAME, BridgeOptions, GatewayMode};
use crate::prefix::Prefix;
use crate::record::{Endpoint, Network};
use crate::sysctl;

/// Longest interface name.
const NAME_MAX: usize = 15;

/// What this kernel may lack.
const MODULE: &str = "bridges (module bridge): load it, or start the engine with --bridge=none";
const CABLES: &str = "virtual cables (module veth): load it, or use --network none or host";

pub struct Bridge;

impl Carrier for Bridge {
    fn check(&self, network: &Network, _: &mut Socket) -> Result<String, Error> {
        BridgeOptions::parse(&network.options)?;
        let name = match network.options.get(BRIDGE_NAME) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("br-{}", network.id.short()),
        };
        check_name(BRIDGE_NAME, &name)?;
        Ok(name)
    }

    fn make(&self, network: &Network, host: &mut Socket) -> Result<(), Error> {
        let options = BridgeOptions::of(network);
        let name = &network.interface;
        let what = || format!("bridge {name}");
        let index = match host.link(name).map_err(kernel(what()))? {
            Some(link) => {
                if !link.up {
                    host.change_link(link.index, &LinkChange::up()).map_err(kernel(what()))?;
                }
                link.index
            }
            None => {
                // Without an address of its own a bridge takes that of its first port and changes it with every one.
                let link = NewLink {
                    name: name.clone(),
                    kind: Some(Kind::Bridge),
                    mtu: options.mtu,
                    mac: Some(Mac::random().0),
                    up: true,
                    ..NewLink::default()
                };
                host.create_link(&link).map_err(lacking(MODULE, what()))?
            }
        };
        sysctl::write_if_there(
            &format!("net/ipv6/conf/{name}/disable_ipv6"),
            if network.ipv6 { "0" } else { "1" },
        )?;
        sysctl::write_if_there(&format!("net/ipv6/conf/{name}/accept_ra"), "0")?;
        // Answers to the host's own 127.0.0.1 come back over this interface; the rules guard what else could.
        sysctl::write_if_there(&format!("net/ipv4/conf/{name}/route_localnet"), "1")?;
        for pool in &network.pools {
            let isolated = options.mode(pool.subnet.is_ipv6()) == GatewayMode::Isolated;
            if let Some(gateway) = pool.gateway.filter(|_| !isolated) {
                let address = Address { link: index, address: gateway, length: pool.subnet.length() };
                host.add_address(&address).map_err(kernel(what()))?;
            }
        }
        Ok(())
    }

    fn unmake(&self, network: &Network, host: &mut Socket) -> Result<(), Error> {
        host.delete_link(&network.interface).map_err(kernel(format!("bridge {}", network.interface)))
    }

    fn attach(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        host: &mut Socket,
        sandbox: &Namespace,
    ) -> Result<(), Error> {
        let options = BridgeOptions::of(network);
        let what = || format!("endpoint on bridge {}", network.interface);
        let bridge = host
            .link(&network.interface)
            .map_err(kernel(what()))?
            .ok_or_else(|| Error::NoInterface { what: "bridge network", name: network.interface.clone() })?;
        let mtu = options.mtu;
        let inside = NewLink {
            name: endpoint.interface.clone(),
            mac: endpoint.mac.map(|mac| mac.0),
            mtu,
            place: Place::of(sandbox),
            ..NewLink::default()
        };
        let pair = NewLink {
            name: endpoint.host_interface.clone(),
            kind: Some(Kind::Veth(Box::new(inside))),
            mtu,
            master: Some(bridge.index),
            up: true,
            ..NewLink::default()
        };
        let made = host.create_link(&pair).map_err(lacking(CABLES, what()))?;
        turn_round(endpoint, made, host).map_err(kernel(what()))
    }

    fn rejoin(&self, network: &Network, endpoint: &Endpoint, host: &mut Socket) -> Result<(), Error> {
        let what = || format!("endpoint on bridge {}", network.interface);
        let bridge = host.link(&network.interface).map_err(kernel(what()))?;
        let end = host.link(&endpoint.host_interface).map_err(kernel(what()))?;
        match (bridge, end) {
            (Some(bridge), Some(end)) if end.master != Some(bridge.index) => {
                tracing::warn!(endpoint = %endpoint.id, bridge = bridge.name, "cable is out of its bridge; putting it back");
                let back = LinkChange { master: Some(bridge.index), up: Some(true), ..LinkChange::default() };
                host.change_link(end.index, &back).map_err(kernel(what()))?;
                turn_round(endpoint, end.index, host).map_err(kernel(what()))
            }
            _ => Ok(()),
        }
    }
}

/// With br_netfilter on, a container's packet to its own published port turns round inside the bridge.
fn turn_round(endpoint: &Endpoint, end: u32, host: &mut Socket) -> gantry_netlink::Result<()> {
    if endpoint.ports.is_empty() {
        return Ok(());
    }
    host.change_bridge_port(end, &BridgePort { hairpin: Some(true), ..BridgePort::default() })
}

/// Refuses what the kernel would not take as an interface's name (`dev_valid_name`).
pub fn check_name(option: &str, name: &str) -> Result<(), Error> {
    let good = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b':';
    let bad =
        name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(good) || name == "." || name == "..";
    match bad {
        true => Err(Error::InvalidOption {
            option: option.to_owned(),
            why: format!("{name:?} is no interface name"),
        }),
        false => Ok(()),
    }
}

/// The addresses that a bridge of the host's own has (`-b BRIDGE`).
pub fn addresses(name: &str, host: &mut Socket) -> Result<Option<Vec<Prefix>>, Error> {
    let Some(link) = host.link(name).map_err(kernel("bridge"))? else { return Ok(None) };
    let addresses = host.addresses().map_err(kernel("bridge"))?;
    let on_it = addresses.into_iter().filter(|address| address.link == link.index);
    Ok(Some(on_it.filter_map(|address| Prefix::new(address.address, address.length)).collect()))
}
