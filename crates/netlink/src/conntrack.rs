//! Connections the kernel remembers, and forgetting them.
//!
//! Encodes `linux/netfilter/nfnetlink_conntrack.h`: `IPCTNL_MSG_CT_GET` as a dump and `IPCTNL_MSG_CT_DELETE` with the
//! original tuple. A UDP flow that was seen before its port was published keeps going past the new rule until its
//! entry is forgotten.

use std::net::IpAddr;

use crate::address::from_octets;
use crate::error::Result;
use crate::socket::Socket;
use crate::wire::{self, Message};

const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;

/// One remembered connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Transport protocol number.
    pub protocol: u8,
    /// Where the first packet came from.
    pub source: IpAddr,
    /// Where the first packet was sent, before any rewriting.
    pub destination: IpAddr,
    /// Its destination port.
    pub destination_port: u16,
    /// Who answers, after any rewriting.
    pub answerer: IpAddr,
    family: u8,
    tuple: Vec<u8>,
}

impl Socket {
    /// Every connection of the namespace, of one address family.
    pub fn connections(&mut self, ipv6: bool) -> Result<Vec<Connection>> {
        let family = if ipv6 { 10 } else { 2 };
        let answers =
            self.dump(Message::new(GET, 0, &[family, 0, 0, 0])).map_err(|e| e.doing("list connections"))?;
        Ok(answers.iter().filter_map(|answer| parse(&answer.body)).collect())
    }

    /// Forgets a connection; one that is gone is no failure.
    pub fn forget(&mut self, connection: &Connection) -> Result<()> {
        let mut message = Message::new(DELETE, 0, &[connection.family, 0, 0, 0]);
        message.put(TUPLE_ORIGINAL | 0x8000, &connection.tuple);
        match self.request(message) {
            Err(error) if !error.is_missing() => Err(error.doing("forget connection")),
            _ => Ok(()),
        }
    }
}

fn parse(body: &[u8]) -> Option<Connection> {
    let attributes = body.get(4..)?;
    let tuple = wire::attribute(attributes, TUPLE_ORIGINAL)?;
    let reply = wire::attribute(attributes, TUPLE_REPLY)?;
    let ip = wire::attribute(tuple, 1)?;
    let transport = wire::attribute(tuple, 2)?;
    let address =
        |ip: &[u8], v4, v6| wire::attribute(ip, v4).or_else(|| wire::attribute(ip, v6)).and_then(from_octets);
    Some(Connection {
        protocol: *wire::attribute(transport, 1)?.first()?,
        source: address(ip, 1, 3)?,
        destination: address(ip, 2, 4)?,
        destination_port: wire::attribute(transport, 3)
            .and_then(|port| port.try_into().ok())
            .map(u16::from_be_bytes)
            .unwrap_or(0),
        answerer: address(wire::attribute(reply, 1)?, 1, 3)?,
        family: *body.first()?,
        tuple: tuple.to_vec(),
    })
}
