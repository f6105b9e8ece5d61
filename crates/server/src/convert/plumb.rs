//! Interfaces and routes by hand: the wire's texts to what the networks are asked.

use std::net::IpAddr;

use gantry_api::network::{Plumb, PlumbRoute};
use gantry_network::{Mac, PlumbSpec, Prefix, RouteSpec, Target};

use crate::failure::Failure;

const INTERFACE: &str = "eth1";

/// An interface to be added, but for whose it is.
pub(crate) fn interface(body: &Plumb) -> Result<impl FnOnce(Target) -> PlumbSpec + Send + 'static, Failure> {
    if body.host_interface.is_empty() {
        return Err(Failure::invalid("name a bridge or an interface of the host".to_owned()));
    }
    let address = match body.address.as_str() {
        "" => None,
        text if !text.contains('/') => {
            return Err(Failure::invalid(format!(
                "the address {text} needs a prefix length: did you mean {text}/24?"
            )));
        }
        text => Some(prefix(text)?),
    };
    let gateway = Some(body.gateway.as_str()).filter(|text| !text.is_empty()).map(ip).transpose()?;
    let mac = match body.mac_address.as_str() {
        "" => None,
        text => Some(match text.strip_prefix("U:") {
            Some(name) => Mac::of_text(name),
            None => text
                .parse()
                .map_err(|err: gantry_network::mac::MacError| Failure::invalid(err.to_string()))?,
        }),
    };
    let vlan = match body.vlan {
        0 => None,
        tag @ 1..=4094 => Some(tag),
        tag => return Err(Failure::invalid(format!("VLAN {tag} is not between 1 and 4094"))),
    };
    let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (host_interface, local_interface) = (body.host_interface.clone(), named(&body.local_interface));
    let interface = named(&body.interface).unwrap_or_else(|| INTERFACE.to_owned());
    let (direct, mtu) = (body.direct, body.mtu);
    Ok(move |target| PlumbSpec {
        target,
        host_interface,
        direct,
        local_interface,
        interface,
        address,
        gateway,
        mac,
        vlan,
        mtu,
    })
}

/// A route to be changed, but for whose it is.
pub(crate) fn route(body: &PlumbRoute) -> Result<impl FnOnce(Target) -> RouteSpec + Send + 'static, Failure> {
    let gateway = Some(body.gateway.as_str()).filter(|text| !text.is_empty()).map(ip).transpose()?;
    let ipv6 = gateway.is_some_and(|gateway| gateway.is_ipv6());
    let destination = match body.destination.as_str() {
        "default" | "" if ipv6 => prefix("::/0")?,
        "default" | "" => prefix("0.0.0.0/0")?,
        text if text.contains('/') => prefix(text)?,
        text => Prefix::host(ip(text)?),
    };
    let interface = Some(body.interface.clone()).filter(|text| !text.is_empty());
    if gateway.is_none() && interface.is_none() && !body.remove {
        return Err(Failure::invalid(format!("the route to {destination} needs a gateway or an interface")));
    }
    let remove = body.remove;
    Ok(move |target| RouteSpec { target, remove, destination, gateway, interface })
}

fn prefix(text: &str) -> Result<Prefix, Failure> {
    text.parse().map_err(|_| Failure::invalid(format!("invalid CIDR address: {text}")))
}

fn ip(text: &str) -> Result<IpAddr, Failure> {
    text.parse().map_err(|_| Failure::invalid(format!("invalid IP address: {text}")))
}
