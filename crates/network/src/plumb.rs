//! pipework's job: one more interface for a running container, by hand.
//!
//! `plumb` needs no owner and keeps no record: the interface lives as long as the container's namespace. A bridge that is
//! not there is made, and so is a dummy; any other host interface becomes the parent of a macvlan, or is moved in itself.

use std::net::IpAddr;
use std::path::PathBuf;

use gantry_netlink::link::MacvlanMode;
use gantry_netlink::{Address, Kind, Link, LinkChange, Namespace, NewLink, Place, Route, Service, Socket};

use crate::driver::{bridge, kernel, lacking};
use crate::failure::Error;
use crate::mac::Mac;
use crate::prefix::Prefix;
use crate::sysctl;

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
    /// A bridge, or a physical interface by name or as `mac:<hardware address>`.
    pub host_interface: String,
    /// The physical interface itself goes inside instead of a macvlan on it (`--direct-phys`).
    pub direct: bool,
    /// Name of the other end on the host, for a bridge; `None` takes a name of our own.
    pub local_interface: Option<String>,
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

/// A route to be changed inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// Whose namespace.
    pub target: Target,
    /// Taken away instead of added.
    pub remove: bool,
    /// Where to; length 0 is the default route.
    pub destination: Prefix,
    /// Next hop.
    pub gateway: Option<IpAddr>,
    /// Name of the interface inside; `None` lets the kernel find it by the gateway.
    pub interface: Option<String>,
}

impl Target {
    fn open(&self) -> Result<Namespace, Error> {
        match self {
            Target::Process(pid) => Namespace::of_process(*pid),
            Target::File(path) => Namespace::at(path),
        }
        .map_err(kernel("container's network namespace"))
    }
}

/// Adds a route, or replaces the one to the same destination; or takes it away.
pub fn reroute(spec: &RouteSpec) -> Result<(), Error> {
    let what = || format!("route {}", spec.destination);
    let namespace = spec.target.open()?;
    let mut socket = namespace.open_socket(Service::Route).map_err(kernel(what()))?;
    let link = match &spec.interface {
        None => 0,
        Some(name) => {
            let missing = || Error::NoSuchInside { name: name.clone() };
            socket.link(name).map_err(kernel(what()))?.ok_or_else(missing)?.index
        }
    };
    let mut route = Route::direct(spec.destination.first(), spec.destination.length(), link);
    route.gateway = spec.gateway;
    if spec.remove { socket.delete_route(&route) } else { socket.add_route(&route) }.map_err(kernel(what()))
}

/// Adds an interface. Nothing is left behind when it fails.
pub fn plumb(spec: &PlumbSpec) -> Result<Plumbed, Error> {
    let what = || format!("interface {} on {}", spec.interface, spec.host_interface);
    let namespace = spec.target.open()?;
    for name in std::iter::once(&spec.interface).chain(&spec.local_interface) {
        bridge::check_name("interface", name)?;
    }
    let mut host = Socket::open(Service::Route).map_err(kernel(what()))?;
    let mut inside = namespace.open_socket(Service::Route).map_err(kernel(what()))?;
    if inside.link(&spec.interface).map_err(kernel(what()))?.is_some() {
        return Err(Error::PresentInside { name: spec.interface.clone() });
    }
    let present = find(&mut host, &spec.host_interface)?;
    let name = present.as_ref().map_or(&spec.host_interface, |link| &link.name).clone();
    let spec = &PlumbSpec { host_interface: name, ..spec.clone() };
    let host_end = match present {
        Some(link) if link.kind != "bridge" && spec.direct => {
            move_inside(spec, &mut host, &mut inside, &link, &namespace)?;
            String::new()
        }
        Some(link) if link.kind == "ipoib" => {
            let why = format!(
                "{} is InfiniBand, on which no macvlan stands: give it itself, with --direct-phys",
                link.name
            );
            return Err(Error::InvalidOption { option: "host interface".to_owned(), why });
        }
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
            let index = host.create_link(&bridge).map_err(lacking("bridges (module bridge)", what()))?;
            pair(spec, &mut host, index, 0, &namespace)?
        }
        None if spec.host_interface.starts_with("dummy") => {
            dummy(spec, &mut host, &namespace)?;
            String::new()
        }
        None => return Err(Error::NoInterface { what: "plumb", name: spec.host_interface.clone() }),
    };
    let is_sub_interface =
        host_end.is_empty() && host.link(&spec.host_interface).map_err(kernel(what()))?.is_some();
    // What is given away is not ours to delete, and is not there to be waited for.
    let given = spec.direct && host_end.is_empty();
    let settled = namespace.run(|| settle(spec)).map_err(kernel(what()));
    match settled {
        Ok(mac) => {
            let end = if is_sub_interface { &spec.host_interface } else { &host_end };
            if !end.is_empty() {
                host.await_link(end).map_err(kernel(what()))?;
            }
            Ok(Plumbed { interface: spec.interface.clone(), host_interface: host_end, mac })
        }
        Err(error) => {
            let undone = match given {
                true => give_back(spec, &mut inside),
                false => inside.delete_link(&spec.interface),
            };
            if let Err(undo) = undone {
                tracing::warn!(error = %undo, "undoing a failed interface");
            }
            Err(error)
        }
    }
}

/// The host's interface by its name, or by `mac:<hardware address>`.
fn find(host: &mut Socket, name: &str) -> Result<Option<Link>, Error> {
    let what = || kernel(format!("interface {name}"));
    let Some(mac) = name.strip_prefix("mac:") else { return host.link(name).map_err(what()) };
    let bad = |why: crate::mac::MacError| Error::InvalidOption {
        option: "host interface".to_owned(),
        why: why.to_string(),
    };
    let mac: Mac = mac.parse().map_err(bad)?;
    Ok(host.links().map_err(what())?.into_iter().find(|link| link.mac == mac.0))
}

/// Moves the host's interface itself. The kernel takes its addresses and its state away with the move.
fn move_inside(
    spec: &PlumbSpec,
    host: &mut Socket,
    inside: &mut Socket,
    link: &Link,
    namespace: &Namespace,
) -> Result<(), Error> {
    let what = || kernel(format!("interface {}", spec.host_interface));
    if spec.vlan.is_some() {
        let why = "an interface that is moved itself takes no VLAN tag".to_owned();
        return Err(Error::InvalidOption { option: "vlan".to_owned(), why });
    }
    let down = LinkChange { up: Some(false), ..LinkChange::default() };
    host.change_link(link.index, &down).map_err(what())?;
    let moved = LinkChange { place: Place::of(namespace), ..LinkChange::default() };
    host.change_link(link.index, &moved).map_err(what())?;
    let there = inside.link(&spec.host_interface).map_err(what())?;
    let index = there.map_or(link.index, |there| there.index);
    let named = LinkChange {
        name: Some(spec.interface.clone()),
        mac: spec.mac.map(|mac| mac.0),
        ..LinkChange::default()
    };
    inside.change_link(index, &named).map_err(what())
}

/// Undoes [`move_inside`].
fn give_back(spec: &PlumbSpec, inside: &mut Socket) -> gantry_netlink::Result<()> {
    let Some(link) = inside.link(&spec.interface)? else { return Ok(()) };
    inside.change_link(link.index, &LinkChange { up: Some(false), ..LinkChange::default() })?;
    let host = Namespace::current()?;
    let back = LinkChange {
        name: Some(spec.host_interface.clone()),
        place: Place::of(&host),
        ..LinkChange::default()
    };
    inside.change_link(link.index, &back)
}

/// pipework's own rule: an interface that is not there and begins with `br` is a bridge to be made.
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
    if spec.vlan.is_some() {
        let why = "a VLAN tag needs a physical interface; a Linux bridge passes tags as they are".to_owned();
        return Err(Error::InvalidOption { option: "vlan".to_owned(), why });
    }
    let mtu = if spec.mtu == 0 { mtu } else { spec.mtu };
    let id = Mac::random().0;
    let own = || format!("vp{:02x}{:02x}{:02x}{:02x}{:02x}", id[1], id[2], id[3], id[4], id[5]);
    let name = spec.local_interface.clone().unwrap_or_else(own);
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
    let interface = format!("interface {}", spec.interface);
    host.create_link(&link).map_err(lacking("virtual cables (module veth)", interface))?;
    Ok(name)
}

/// pipework's own rule again: a dummy is made inside, for an address that is nobody's neighbour.
fn dummy(spec: &PlumbSpec, host: &mut Socket, namespace: &Namespace) -> Result<(), Error> {
    if spec.vlan.is_some() {
        let why = "a VLAN tag needs a physical interface".to_owned();
        return Err(Error::InvalidOption { option: "vlan".to_owned(), why });
    }
    let link = NewLink {
        name: spec.interface.clone(),
        kind: Some(Kind::Dummy),
        mac: spec.mac.map(|mac| mac.0),
        mtu: spec.mtu,
        place: Place::of(namespace),
        ..NewLink::default()
    };
    host.create_link(&link)
        .map(drop)
        .map_err(lacking("dummy interfaces (module dummy)", spec.interface.as_str()))
}

fn sub_interface(spec: &PlumbSpec, host: &mut Socket, base: u32, namespace: &Namespace) -> Result<(), Error> {
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
                    host.create_link(&vlan)
                        .map_err(lacking("VLAN interfaces (module 8021q)", "VLAN interface"))?
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
    host.create_link(&link)
        .map(drop)
        .map_err(lacking("macvlan interfaces (module macvlan)", "macvlan interface"))
}

/// Inside: address, up, routes.
fn settle(spec: &PlumbSpec) -> gantry_netlink::Result<Mac> {
    let mut socket = Socket::open(Service::Route)?;
    let link = socket.link(&spec.interface)?;
    let link = link.ok_or_else(|| gantry_netlink::Error::from(rustix::io::Errno::NODEV))?;
    if let Some(address) = spec.address {
        // In a container of ours an interface has no IPv6 until it has an address of it.
        if address.address().is_ipv6() {
            sysctl::write_if_there(&format!("net/ipv6/conf/{}/disable_ipv6", spec.interface), "0")
                .unwrap_or_else(|error| tracing::debug!(%error, "IPv6 is left as it is"));
        }
        socket.add_address(&Address {
            link: link.index,
            address: address.address(),
            length: address.length(),
        })?;
    }
    // A word to the neighbours, who may know an earlier owner of the address; pipework runs arping for that.
    let word = sysctl::write_if_there(&format!("net/ipv4/conf/{}/arp_notify", spec.interface), "1");
    if let Err(error) = word {
        tracing::debug!(%error, "neighbours are not told");
    }
    socket.change_link(link.index, &LinkChange::up())?;
    socket.await_link(&spec.interface)?;
    if let Some(gateway) = spec.gateway {
        // A gateway outside the interface's own subnet is on the link all the same: the person says so.
        let near = spec.address.is_some_and(|address| address.contains(gateway));
        socket.add_route(&Route { on_link: !near, ..Route::default_via(gateway, link.index) })?;
    }
    Ok(Mac(<[u8; 6]>::try_from(link.mac.as_slice()).unwrap_or_default()))
}
