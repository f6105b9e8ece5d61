//! Network interfaces.
//!
//! Encodes `linux/if_link.h`: `RTM_NEWLINK` and friends with `struct ifinfomsg { u8 family; u8 pad; u16 type;
//! i32 index; u32 flags; u32 change; }`. The kind of link and its settings are nested in `IFLA_LINKINFO`.

use std::os::fd::{AsFd, AsRawFd};

use crate::error::Result;
use crate::namespace::Namespace;
use crate::socket::Socket;
use crate::wire::{self, Message};

const NEW: u16 = 16;
const DELETE: u16 = 17;
const GET: u16 = 18;
const SET: u16 = 19;
const HEADER: usize = 16;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_PID: u16 = 19;
const IFLA_IFALIAS: u16 = 20;
const IFLA_NET_NS_FD: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;
const BRPORT_HAIRPIN: u16 = 4;
const BRPORT_ISOLATED: u16 = 33;
const AF_BRIDGE: u8 = 7;
const UP: u32 = 1;

/// What kind of link to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A pair of cables ends; the settings of the other end.
    Veth(Box<NewLink>),
    /// A software switch.
    Bridge,
    /// A sub-interface with its own hardware address.
    Macvlan(MacvlanMode),
    /// A sub-interface that shares the hardware address.
    Ipvlan {
        /// Layer.
        mode: IpvlanMode,
        /// Who sees whom.
        flag: IpvlanFlag,
    },
    /// A tagged sub-interface.
    Vlan(u16),
    /// An interface that drops everything.
    Dummy,
    /// An overlay tunnel.
    Vxlan {
        /// Network identifier, 24 bits.
        id: u32,
        /// UDP port.
        port: u16,
        /// Learn hardware addresses from traffic.
        learning: bool,
    },
}

/// `MACVLAN_MODE_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "ip-link(8)'s own words")]
pub enum MacvlanMode {
    Private = 1,
    Vepa = 2,
    Bridge = 4,
    Passthru = 8,
}

/// `IPVLAN_MODE_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "ip-link(8)'s own words")]
pub enum IpvlanMode {
    L2 = 0,
    L3 = 1,
    L3s = 2,
}

/// `IPVLAN_F_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "ip-link(8)'s own words")]
pub enum IpvlanFlag {
    Bridge = 0,
    Private = 1,
    Vepa = 2,
}

/// Where a new link, or the other end of a pair, is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// The socket's namespace.
    #[default]
    Here,
    /// The namespace of a descriptor.
    Descriptor(i32),
    /// The namespace of a process.
    Process(i32),
}

impl Place {
    /// The namespace behind a handle, which must stay open until the request is done.
    pub fn of(namespace: &Namespace) -> Place {
        Place::Descriptor(namespace.as_fd().as_raw_fd())
    }

    fn put(self, message: &mut Message) {
        match self {
            Place::Here => {}
            Place::Descriptor(fd) => message.put_u32(IFLA_NET_NS_FD, fd as u32).end(),
            Place::Process(pid) => message.put_u32(IFLA_NET_NS_PID, pid as u32).end(),
        }
    }
}

/// A link to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewLink {
    /// Interface name, at most 15 bytes.
    pub name: String,
    /// Kind; `None` only for the other end of a pair.
    pub kind: Option<Kind>,
    /// 0 leaves the kernel's choice.
    pub mtu: u32,
    /// Hardware address.
    pub mac: Option<[u8; 6]>,
    /// Index of the bridge it joins.
    pub master: Option<u32>,
    /// Index of the parent (macvlan, ipvlan, vlan, vxlan).
    pub parent: Option<u32>,
    /// Start it up; ignored for the other end of a pair, which is brought up from its own side.
    pub up: bool,
    /// Which namespace it is made in.
    pub place: Place,
}

/// A link as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Kind (`veth`, `bridge`, ...), empty for hardware and loopback.
    pub kind: String,
    /// Administratively up.
    pub up: bool,
    /// Packets pass: the carrier is there and the kernel has acted on it (`IF_OPER_UP`, or `IF_OPER_UNKNOWN` where nobody
    /// keeps track).
    pub operational: bool,
    /// Maximum transfer unit.
    pub mtu: u32,
    /// Hardware address, empty where there is none.
    pub mac: Vec<u8>,
    /// Index of the bridge it is in.
    pub master: Option<u32>,
    /// Index of the parent or the other end; may be in another namespace.
    pub parent: Option<u32>,
    /// The alias, for people.
    pub alias: String,
}

fn header(family: u8, index: u32, flags: u32, change: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[0] = family;
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

impl NewLink {
    fn flags(&self) -> [u8; HEADER] {
        let up = if self.up { UP } else { 0 };
        header(0, 0, up, up)
    }

    fn put(&self, message: &mut Message) {
        message.put_str(IFLA_IFNAME, &self.name);
        if self.mtu != 0 {
            message.put_u32(IFLA_MTU, self.mtu);
        }
        if let Some(mac) = &self.mac {
            message.put(IFLA_ADDRESS, mac);
        }
        if let Some(master) = self.master {
            message.put_u32(IFLA_MASTER, master);
        }
        if let Some(parent) = self.parent {
            message.put_u32(IFLA_LINK, parent);
        }
        self.place.put(message);
        if let Some(kind) = &self.kind {
            message.nest(IFLA_LINKINFO, |m| kind.put(m));
        }
    }

    /// The request that makes this link; fails with `EEXIST` when the name is taken.
    pub fn message(&self) -> Message {
        let mut message = Message::new(NEW, wire::CREATE | wire::EXCL, &self.flags());
        self.put(&mut message);
        message
    }
}

impl Kind {
    fn word(&self) -> &'static str {
        match self {
            Kind::Veth(_) => "veth",
            Kind::Bridge => "bridge",
            Kind::Macvlan(_) => "macvlan",
            Kind::Ipvlan { .. } => "ipvlan",
            Kind::Vlan(_) => "vlan",
            Kind::Dummy => "dummy",
            Kind::Vxlan { .. } => "vxlan",
        }
    }

    fn put(&self, message: &mut Message) {
        message.put_str(INFO_KIND, self.word());
        message.nest(INFO_DATA, |m| match self {
            Kind::Veth(peer) => m
                .nest(VETH_PEER, |m| {
                    // The other end cannot be born up: the pair is not complete yet (ENOTCONN).
                    m.put_raw(&header(0, 0, 0, 0));
                    peer.put(m);
                })
                .end(),
            Kind::Macvlan(mode) => m.put_u32(1, *mode as u32).end(),
            Kind::Ipvlan { mode, flag } => m.put_u16(1, *mode as u16).put_u16(2, *flag as u16).end(),
            Kind::Vlan(id) => m.put_u16(1, *id).end(),
            Kind::Vxlan { id, port, learning } => {
                m.put_u32(1, *id).put_u8(7, u8::from(*learning)).put(15, &port.to_be_bytes());
            }
            Kind::Bridge | Kind::Dummy => {}
        });
    }
}

/// A change of an existing link. Empty fields stay as they are.
#[derive(Debug, Clone, Default)]
pub struct LinkChange {
    /// Up or down.
    pub up: Option<bool>,
    /// New name; the link must be down on old kernels.
    pub name: Option<String>,
    /// Maximum transfer unit.
    pub mtu: Option<u32>,
    /// Hardware address.
    pub mac: Option<[u8; 6]>,
    /// Join this bridge; 0 leaves the one it is in.
    pub master: Option<u32>,
    /// Move into this namespace.
    pub place: Place,
    /// A text for people.
    pub alias: Option<String>,
}

impl LinkChange {
    /// The request that applies this change to the link.
    pub fn message(&self, index: u32) -> Message {
        let (flags, change) = match self.up {
            Some(up) => (if up { UP } else { 0 }, UP),
            None => (0, 0),
        };
        let mut message = Message::new(NEW, 0, &header(0, index, flags, change));
        if let Some(name) = &self.name {
            message.put_str(IFLA_IFNAME, name);
        }
        if let Some(mtu) = self.mtu {
            message.put_u32(IFLA_MTU, mtu);
        }
        if let Some(mac) = &self.mac {
            message.put(IFLA_ADDRESS, mac);
        }
        if let Some(master) = self.master {
            message.put_u32(IFLA_MASTER, master);
        }
        if let Some(alias) = &self.alias {
            message.put_str(IFLA_IFALIAS, alias);
        }
        self.place.put(&mut message);
        message
    }

    /// Up, and nothing else.
    pub fn up() -> LinkChange {
        LinkChange { up: Some(true), ..LinkChange::default() }
    }
}

/// Settings of a bridge's port (`IFLA_BRPORT_*`).
#[derive(Debug, Clone, Copy, Default)]
pub struct BridgePort {
    /// Send frames back where they came from.
    pub hairpin: Option<bool>,
    /// No frames to other isolated ports.
    pub isolated: Option<bool>,
}

impl BridgePort {
    /// The request that applies these settings to the port.
    pub fn message(&self, index: u32) -> Message {
        let mut message = Message::new(SET, 0, &header(AF_BRIDGE, index, 0, 0));
        message.nest(IFLA_PROTINFO, |m| {
            if let Some(on) = self.hairpin {
                m.put_u8(BRPORT_HAIRPIN, u8::from(on));
            }
            if let Some(on) = self.isolated {
                m.put_u8(BRPORT_ISOLATED, u8::from(on));
            }
        });
        message
    }
}

impl Socket {
    /// Makes a link and tells its index.
    pub fn create_link(&mut self, link: &NewLink) -> Result<u32> {
        self.request(link.message()).map_err(|e| e.doing(format!("create link {}", link.name)))?;
        // The answer to a creation names no index, and the name may already be elsewhere.
        match link.place {
            Place::Here => Ok(self.link(&link.name)?.map_or(0, |made| made.index)),
            _ => Ok(0),
        }
    }

    /// Changes a link.
    pub fn change_link(&mut self, index: u32, change: &LinkChange) -> Result<()> {
        self.request(change.message(index)).map(drop).map_err(|e| e.doing(format!("change link {index}")))
    }

    /// Deletes a link by name; one that is not there is no failure. Waits for the kernel.
    pub fn delete_link(&mut self, name: &str) -> Result<()> {
        let mut message = Message::new(DELETE, 0, &header(0, 0, 0, 0));
        message.put_str(IFLA_IFNAME, name);
        match self.request(message) {
            Err(error) if !error.is_missing() => Err(error.doing(format!("delete link {name}"))),
            _ => Ok(()),
        }
    }

    /// Looks a link up by name.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>> {
        let mut message = Message::new(GET, 0, &header(0, 0, 0, 0));
        message.put_str(IFLA_IFNAME, name);
        match self.request(message) {
            Ok(answers) => Ok(answers.first().and_then(|answer| parse(&answer.body))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.doing(format!("find link {name}"))),
        }
    }

    /// Waits until a link that was brought up passes packets. The kernel acts on a carrier in the background; until then
    /// frames are dropped, and a program that connects at once waits a second for its second try. Asking makes recent kernels
    /// act on the spot (`linkwatch_sync_dev`); older ones are asked again, for half a second at most.
    pub fn await_link(&mut self, name: &str) -> Result<()> {
        const PAUSE: std::time::Duration = std::time::Duration::from_micros(500);
        let deadline = std::time::Instant::now() + std::time::Duration::from_millis(500);
        while let Some(link) = self.link(name)? {
            if link.operational || std::time::Instant::now() > deadline {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Every link of the socket's namespace.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let answers =
            self.dump(Message::new(GET, 0, &header(0, 0, 0, 0))).map_err(|e| e.doing("list links"))?;
        Ok(answers.iter().filter_map(|answer| parse(&answer.body)).collect())
    }

    /// Settings of a bridge's port.
    pub fn change_bridge_port(&mut self, index: u32, port: &BridgePort) -> Result<()> {
        self.request(port.message(index))
            .map(drop)
            .map_err(|e| e.doing(format!("change bridge port {index}")))
    }
}

fn parse(body: &[u8]) -> Option<Link> {
    let attributes = body.get(HEADER..)?;
    let get = |kind| wire::attribute(attributes, kind);
    let number = |kind| get(kind).and_then(|v| wire::u32_at(v, 0));
    let info = get(IFLA_LINKINFO).unwrap_or(&[]);
    Some(Link {
        index: wire::u32_at(body, 4)?,
        name: wire::text(get(IFLA_IFNAME)?),
        kind: wire::attribute(info, INFO_KIND).map(wire::text).unwrap_or_default(),
        up: wire::u32_at(body, 8)? & UP != 0,
        operational: matches!(get(IFLA_OPERSTATE), Some([0 | 6, ..])),
        mtu: number(IFLA_MTU).unwrap_or(0),
        mac: get(IFLA_ADDRESS).unwrap_or(&[]).to_vec(),
        master: number(IFLA_MASTER),
        parent: number(IFLA_LINK),
        alias: get(IFLA_IFALIAS).map(wire::text).unwrap_or_default(),
    })
}
