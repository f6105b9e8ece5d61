//! Routes, neighbours and policy rules.
//!
//! Encodes `linux/rtnetlink.h` (`struct rtmsg { u8 family, dst_len, src_len, tos, table, protocol, scope, type;
//! u32 flags; }`), `linux/neighbour.h` (`struct ndmsg { u8 family; u8 pad; u16 pad; i32 index; u16 state; u8 flags;
//! u8 type; }`) and `linux/fib_rules.h` (`struct fib_rule_hdr`, the same twelve bytes as `rtmsg`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::{family, from_octets, octets};
use crate::error::Result;
use crate::socket::Socket;
use crate::wire::{self, Message};

const NEW: u16 = 24;
const DELETE: u16 = 25;
const GET: u16 = 26;
const HEADER: usize = 12;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_TABLE: u16 = 15;
const TABLE_MAIN: u8 = 254;
const PROTOCOL_BOOT: u8 = 3;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
/// Of any scope, when a route is taken away.
const SCOPE_NOWHERE: u8 = 255;
const TYPE_UNICAST: u8 = 1;
const FLAG_ONLINK: u32 = 4;

const NEW_NEIGHBOUR: u16 = 28;
const NEW_RULE: u16 = 32;
const DELETE_RULE: u16 = 33;
const NUD_PERMANENT: u16 = 0x80;

/// A unicast route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destination; length 0 is the default route.
    pub destination: (IpAddr, u8),
    /// Next hop; `None` means directly on the link.
    pub gateway: Option<IpAddr>,
    /// Interface index; 0 lets the kernel find it by the gateway.
    pub link: u32,
    /// Preferred source address.
    pub source: Option<IpAddr>,
    /// Metric; `None` leaves the kernel's.
    pub metric: Option<u32>,
    /// Routing table; `None` is main.
    pub table: Option<u32>,
    /// The gateway is on the link although no prefix says so.
    pub on_link: bool,
}

impl Route {
    /// The default route over a gateway.
    pub fn default_via(gateway: IpAddr, link: u32) -> Route {
        let any = if gateway.is_ipv6() {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        };
        Route {
            destination: (any, 0),
            gateway: Some(gateway),
            link,
            source: None,
            metric: None,
            table: None,
            on_link: false,
        }
    }

    /// A route straight onto a link.
    pub fn direct(destination: IpAddr, length: u8, link: u32) -> Route {
        let destination = (destination, length);
        Route { destination, gateway: None, link, source: None, metric: None, table: None, on_link: false }
    }

    fn build(&self, kind: u16, flags: u16) -> Message {
        let (address, length) = self.destination;
        let scope = match kind {
            DELETE if !address.is_ipv6() => SCOPE_NOWHERE,
            _ if self.gateway.is_some() || address.is_ipv6() => SCOPE_UNIVERSE,
            _ => SCOPE_LINK,
        };
        let table = self.table.map_or(TABLE_MAIN, |table| u8::try_from(table).unwrap_or(0));
        let mut header =
            [family(address), length, 0, 0, table, PROTOCOL_BOOT, scope, TYPE_UNICAST, 0, 0, 0, 0];
        if self.on_link {
            header[8..].copy_from_slice(&FLAG_ONLINK.to_ne_bytes());
        }
        let mut message = Message::new(kind, flags, &header);
        if length > 0 {
            message.put(RTA_DST, &octets(address));
        }
        if let Some(gateway) = self.gateway {
            message.put(RTA_GATEWAY, &octets(gateway));
        }
        if self.link != 0 {
            message.put_u32(RTA_OIF, self.link);
        }
        if let Some(source) = self.source {
            message.put(RTA_PREFSRC, &octets(source));
        }
        if let Some(metric) = self.metric {
            message.put_u32(RTA_PRIORITY, metric);
        }
        if let Some(table) = self.table {
            message.put_u32(RTA_TABLE, table);
        }
        message
    }

    /// The request that adds this route, or replaces the one to the same destination.
    pub fn message(&self) -> Message {
        self.build(NEW, wire::CREATE | wire::REPLACE)
    }
}

impl Socket {
    /// Adds a route, or replaces the one to the same destination.
    pub fn add_route(&mut self, route: &Route) -> Result<()> {
        let (address, length) = route.destination;
        self.request(route.message()).map(drop).map_err(|e| e.doing(format!("add route {address}/{length}")))
    }

    /// Takes a route away; one that is not there is no failure.
    pub fn delete_route(&mut self, route: &Route) -> Result<()> {
        let (address, length) = route.destination;
        match self.request(route.build(DELETE, 0)) {
            Err(error) if !error.is_missing() => Err(error.doing(format!("delete route {address}/{length}"))),
            _ => Ok(()),
        }
    }

    /// The unicast routes of the main tables.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        let answers = self.dump(Message::new(GET, 0, &[0; HEADER])).map_err(|e| e.doing("list routes"))?;
        Ok(answers.iter().filter_map(|answer| parse(&answer.body)).collect())
    }

    /// Writes a neighbour's hardware address down for good.
    pub fn add_neighbour(&mut self, link: u32, address: IpAddr, mac: [u8; 6]) -> Result<()> {
        let mut header = [0; 12];
        header[0] = family(address);
        header[4..8].copy_from_slice(&link.to_ne_bytes());
        header[8..10].copy_from_slice(&NUD_PERMANENT.to_ne_bytes());
        let mut message = Message::new(NEW_NEIGHBOUR, wire::CREATE | wire::REPLACE, &header);
        message.put(1, &octets(address)).put(2, &mac);
        self.request(message).map(drop).map_err(|e| e.doing(format!("add neighbour {address}")))
    }

    /// Packets from `source` look their route up in `table` (`ip rule add from ... lookup ...`).
    pub fn add_rule(&mut self, source: (IpAddr, u8), table: u32, priority: u32) -> Result<()> {
        self.rule(NEW_RULE, wire::CREATE | wire::EXCL, source, table, priority)
    }

    /// Undoes [`Socket::add_rule`].
    pub fn delete_rule(&mut self, source: (IpAddr, u8), table: u32, priority: u32) -> Result<()> {
        self.rule(DELETE_RULE, 0, source, table, priority)
    }

    fn rule(&mut self, kind: u16, flags: u16, source: (IpAddr, u8), table: u32, priority: u32) -> Result<()> {
        const FRA_SRC: u16 = 2;
        const FRA_PRIORITY: u16 = 6;
        const FRA_TABLE: u16 = 15;
        const TO_TABLE: u8 = 1;
        let header = [family(source.0), 0, source.1, 0, 0, 0, 0, TO_TABLE, 0, 0, 0, 0];
        let mut message = Message::new(kind, flags, &header);
        message.put(FRA_SRC, &octets(source.0)).put_u32(FRA_TABLE, table).put_u32(FRA_PRIORITY, priority);
        self.request(message).map(drop).map_err(|e| e.doing(format!("rule from {}/{}", source.0, source.1)))
    }
}

fn parse(body: &[u8]) -> Option<Route> {
    let attributes = body.get(HEADER..)?;
    let get = |kind| wire::attribute(attributes, kind);
    if body[7] != TYPE_UNICAST || body[4] != TABLE_MAIN {
        return None;
    }
    let any = if body[0] == 10 {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else if body[0] == 2 {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        return None;
    };
    Some(Route {
        destination: (get(RTA_DST).and_then(from_octets).unwrap_or(any), body[1]),
        gateway: get(RTA_GATEWAY).and_then(from_octets),
        link: get(RTA_OIF).and_then(|v| wire::u32_at(v, 0)).unwrap_or(0),
        source: get(RTA_PREFSRC).and_then(from_octets),
        metric: get(RTA_PRIORITY).and_then(|v| wire::u32_at(v, 0)),
        table: None,
        on_link: wire::u32_at(body, 8)? & FLAG_ONLINK != 0,
    })
}
