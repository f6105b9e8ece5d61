//! macvlan and ipvlan: sub-interfaces of a parent on the host, moved into the sandbox at birth.

use gantry_netlink::{Kind, LinkChange, Namespace, NewLink, Place, Socket};

use super::{Carrier, kernel, lacking};
use crate::failure::Error;
use crate::options;
use crate::record::{Driver, Endpoint, Network};

pub struct SubInterface;

/// A parent that does not exist but reads `eth0.50` is a VLAN to be made on eth0.
fn vlan(parent: &str) -> Option<(&str, u16)> {
    let (base, id) = parent.rsplit_once('.')?;
    let id = id.parse().ok().filter(|id| (1..=4094).contains(id))?;
    (!base.is_empty()).then_some((base, id))
}

impl Carrier for SubInterface {
    fn check(&self, network: &Network, host: &mut Socket) -> Result<String, Error> {
        options::macvlan_mode(&network.options)?;
        options::ipvlan_mode(&network.options)?;
        let Some(parent) = network.options.get("parent").filter(|parent| !parent.is_empty()) else {
            // As Docker: a network of containers only, on a parent that drops everything.
            return Ok(format!("dm-{}", network.id.short()));
        };
        let base = vlan(parent).map_or(parent.as_str(), |(base, _)| base);
        let found = |host: &mut Socket, name: &str| host.link(name).map_err(kernel("parent interface"));
        if found(host, parent)?.is_none() && found(host, base)?.is_none() {
            return Err(Error::NoInterface { what: network.driver.as_str(), name: parent.clone() });
        }
        // The kernel takes it, and nothing would ever come through.
        if parent == "lo" {
            return Err(Error::Loopback(network.driver.as_str()));
        }
        Ok(parent.clone())
    }

    fn make(&self, network: &Network, host: &mut Socket) -> Result<(), Error> {
        let parent = &network.interface;
        if let Some(link) = host.link(parent).map_err(kernel("parent interface"))? {
            return match link.up {
                true => Ok(()),
                false => host.change_link(link.index, &LinkChange::up()).map_err(kernel("parent interface")),
            };
        }
        let mut link = NewLink { name: parent.clone(), up: true, ..NewLink::default() };
        let module = if let Some((base, id)) = vlan(parent) {
            let missing = || Error::NoInterface { what: network.driver.as_str(), name: base.to_owned() };
            link.parent =
                Some(host.link(base).map_err(kernel("parent interface"))?.ok_or_else(missing)?.index);
            link.kind = Some(Kind::Vlan(id));
            "VLAN interfaces (module 8021q)"
        } else {
            link.kind = Some(Kind::Dummy);
            "dummy interfaces (module dummy); name a parent with --opt parent="
        };
        host.create_link(&link).map(drop).map_err(lacking(module, module))
    }

    fn unmake(&self, network: &Network, host: &mut Socket) -> Result<(), Error> {
        // Only what we made goes; a parent of the host's stays.
        let made = network.interface.starts_with("dm-") || vlan(&network.interface).is_some();
        match host.link(&network.interface).map_err(kernel("parent interface"))? {
            Some(link) if made && matches!(link.kind.as_str(), "dummy" | "vlan") => {
                host.delete_link(&network.interface).map_err(kernel("parent interface"))
            }
            _ => Ok(()),
        }
    }

    fn attach(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        host: &mut Socket,
        sandbox: &Namespace,
    ) -> Result<(), Error> {
        let parent = host.link(&network.interface).map_err(kernel("parent interface"))?;
        let missing =
            || Error::NoInterface { what: network.driver.as_str(), name: network.interface.clone() };
        let parent = parent.ok_or_else(missing)?.index;
        let (kind, module) = match network.driver {
            Driver::Ipvlan => {
                let (mode, flag) = options::ipvlan_mode(&network.options)?;
                (Kind::Ipvlan { mode, flag }, "ipvlan interfaces (module ipvlan)")
            }
            _ => (
                Kind::Macvlan(options::macvlan_mode(&network.options)?),
                "macvlan interfaces (module macvlan)",
            ),
        };
        let mac = endpoint.mac.filter(|_| network.driver == Driver::Macvlan).map(|mac| mac.0);
        let link = NewLink {
            name: endpoint.interface.clone(),
            kind: Some(kind),
            mac,
            parent: Some(parent),
            place: Place::of(sandbox),
            ..NewLink::default()
        };
        host.create_link(&link).map(drop).map_err(lacking(module, module))
    }
}
