//! pipework's job: one more interface for a running container, by hand.
//!
//! `plumb` needs no owner and keeps no record: the interface lives as long as the container's namespace. A bridge that is
//! not there is made; any other host interface becomes the parent of a macvlan (or, for wireless ones, ipvlan).

use std::net::IpAddr;
use std::path::PathBuf;

use gantry_netlink::link::MacvlanMode;
use gantry_netlink::{Address, Kind, LinkChange, Namespace, NewLink, Place, Route, Service, Socket};

use crate::driver::kernel;
use crate::failure::Error;
use crate::mac::Mac;
use crate::prefix::Prefix;

/// Whose namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A process's (`State.Pid`).
    Process(i32),
    /// A namespace's file (a sandbox's path).
    File(PathBuf),
}

/// An interface to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlumbSpec {
    /// Whose namespace.
    pub target: Target,
    /// A bridge, or a physical interface.
    pub host_interface: String,
    /// Name inside; pipework's default is `eth1`.
    pub interface: String,
    /// Address inside; `None` leaves the interface without one.
    pub address: Option<Prefix>,
    /// New default gateway.
    pub gateway: Option<IpAddr>,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// VLAN tag: on a physical interface only.
    pub vlan: Option<u16>,
    /// Further routes: destination and gateway; without a gateway the route is onto the interface.
    pub routes: Vec<(Prefix, Option<IpAddr>)>,
    /// Maximum transfer unit; 0 takes the host interface's.
    pub mtu: u32,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plumbed {
    /// Name inside.
    pub interface: String,
    /// The other end on the host; empty for sub-interfaces.
    pub host_interface: String,
    /// Hardware address.
    pub mac: Mac,
}

/// Adds an interface. Nothing is left behind when it fails.
pub fn plumb(spec: &PlumbSpec) -> Result<Plumbed, Error> {
    let what = || format!("interface {} on {}", spec.interface, spec.host_interface);
    let namespace = match &spec.target {
        Target::Process(pid) => Namespace::of_process(*pid),
        Target::File(path) => Namespace::at(path),
    }
    .map_err(kernel("container's network namespace"))?;
    let mut host = Socket::open(Service::Route).map_err(kernel(what()))?;
    let present = host.link(&spec.host_interface).map_err(kernel(what()))?;
    let host_end = match present {
        Some(link) if link.kind != "bridge" => {
            sub_interface(spec, &mut host, link.index, &namespace)?;
            String::new()
        }
        Some(link) => pair(spec, &mut host, link.index, link.mtu, &namespace)?,
        None if looks_like_a_bridge(&spec.host_interface) => {
            let bridge = NewLink {
                name: spec.host_interface.clone(),
                kind: Some(Kind::Bridge),
                mac: Some(Mac::random().0),
                up: true,
                ..NewLink::default()
            };
            let index = host.create_link(&bridge).map_err(kernel(what()))?;
            pair(spec, &mut host, index, 0, &namespace)?
        }
        None => return Err(Error::NoInterface { what: "plumb", name: spec.host_interface.clone() }),
    };
    let settled = namespace.run(|| settle(spec)).map_err(kernel(what()));
    match settled {
        Ok(mac) => {
            let end = if host_end.is_empty() { &spec.host_interface } else { &host_end };
            host.await_link(end).map_err(kernel(what()))?;
            Ok(Plumbed { interface: spec.interface.clone(), host_interface: host_end, mac })
        }
        Err(error) => {
            let undone = namespace.run(|| Socket::open(Service::Route)?.delete_link(&spec.interface));
            if let Err(undo) = undone {
                tracing::warn!(error = %undo, "undoing a failed interface");
            }
            Err(error)
        }
    }
}

/// pipework's own rule: names that begin with `br` (or hold it behind letters, as `docker0` does not) are bridges.
fn looks_like_a_bridge(name: &str) -> bool {
    name.starts_with("br")
}

fn pair(
    spec: &PlumbSpec,
    host: &mut Socket,
    bridge: u32,
    mtu: u32,
    namespace: &Namespace,
) -> Result<String, Error> {
    let what = || kernel(format!("interface {}", spec.interface));
    if spec.vlan.is_some() {
        let why = "a VLAN tag needs a physical interface; a Linux bridge passes tags as they are".to_owned();
        return Err(Error::InvalidOption { option: "vlan".to_owned(), why });
    }
    let mtu = if spec.mtu == 0 { mtu } else { spec.mtu };
    let id = Mac::random().0;
    let name = format!("vp{:02x}{:02x}{:02x}{:02x}{:02x}", id[1], id[2], id[3], id[4], id[5]);
    let inside = NewLink {
        name: spec.interface.clone(),
        mac: spec.mac.map(|mac| mac.0),
        mtu,
        place: Place::of(namespace),
        ..NewLink::default()
    };
    let link = NewLink {
        name: name.clone(),
        kind: Some(Kind::Veth(Box::new(inside))),
        mtu,
        master: Some(bridge),
        up: true,
        ..NewLink::default()
    };
    host.create_link(&link).map_err(what())?;
    Ok(name)
}

fn sub_interface(spec: &PlumbSpec, host: &mut Socket, base: u32, namespace: &Namespace) -> Result<(), Error> {
    let lacking = |kind: &'static str| {
        move |cause: gantry_netlink::Error| match cause.is_unsupported() {
            true => Error::KernelLacks(kind),
            false => Error::Kernel { what: kind.to_owned(), cause },
        }
    };
    host.change_link(base, &LinkChange::up()).map_err(kernel("host interface"))?;
    let parent = match spec.vlan {
        None => base,
        Some(tag) => {
            let name = format!("{}.{tag}", spec.host_interface);
            match host.link(&name).map_err(kernel("VLAN"))? {
                Some(link) => link.index,
                None => {
                    let vlan = NewLink {
                        name,
                        kind: Some(Kind::Vlan(tag)),
                        parent: Some(base),
                        up: true,
                        ..NewLink::default()
                    };
                    host.create_link(&vlan).map_err(lacking("VLAN interfaces (module 8021q)"))?
                }
            }
        }
    };
    let link = NewLink {
        name: spec.interface.clone(),
        kind: Some(Kind::Macvlan(MacvlanMode::Bridge)),
        mac: spec.mac.map(|mac| mac.0),
        mtu: spec.mtu,
        parent: Some(parent),
        place: Place::of(namespace),
        ..NewLink::default()
    };
    host.create_link(&link).map(drop).map_err(lacking("macvlan interfaces (module macvlan)"))
}

/// Inside: address, up, routes.
fn settle(spec: &PlumbSpec) -> gantry_netlink::Result<Mac> {
    let mut socket = Socket::open(Service::Route)?;
    let link = socket.link(&spec.interface)?;
    let link = link.ok_or_else(|| gantry_netlink::Error::from(rustix::io::Errno::NODEV))?;
    if let Some(address) = spec.address {
        socket.add_address(&Address {
            link: link.index,
            address: address.address(),
            length: address.length(),
        })?;
    }
    socket.change_link(link.index, &LinkChange::up())?;
    socket.await_link(&spec.interface)?;
    if let Some(gateway) = spec.gateway {
        socket.add_route(&Route::default_via(gateway, link.index))?;
    }
    for (destination, gateway) in &spec.routes {
        let mut route = Route::direct(destination.first(), destination.length(), link.index);
        route.gateway = *gateway;
        socket.add_route(&route)?;
    }
    Ok(Mac(<[u8; 6]>::try_from(link.mac.as_slice()).unwrap_or_default()))
}
