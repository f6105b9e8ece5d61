//! Addresses of interfaces.
//!
//! Encodes `linux/if_addr.h`: `RTM_NEWADDR` with `struct ifaddrmsg { u8 family; u8 prefixlen; u8 flags; u8 scope;
//! u32 index; }`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Result;
use crate::socket::Socket;
use crate::wire::{self, Message};

const NEW: u16 = 20;
const DELETE: u16 = 21;
const GET: u16 = 22;
const HEADER: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// `IFA_F_NODAD`: usable at once, nobody is asked whether the address is taken.
const NO_DUPLICATE_DETECTION: u8 = 0x02;

/// An address on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Interface index.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of the network part.
    pub length: u8,
}

pub(crate) fn family(address: IpAddr) -> u8 {
    if address.is_ipv6() { 10 } else { 2 }
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(crate) fn from_octets(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| Ipv6Addr::from(v6).into())
}

impl Address {
    fn header(&self) -> [u8; HEADER] {
        let flags = if self.address.is_ipv6() { NO_DUPLICATE_DETECTION } else { 0 };
        let mut bytes = [family(self.address), self.length, flags, 0, 0, 0, 0, 0];
        bytes[4..].copy_from_slice(&self.link.to_ne_bytes());
        bytes
    }

    fn put(&self, mut message: Message) -> Message {
        let bytes = octets(self.address);
        message.put(IFA_LOCAL, &bytes).put(IFA_ADDRESS, &bytes);
        if let (IpAddr::V4(v4), 0..=30) = (self.address, self.length) {
            let host = u32::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
            message.put(IFA_BROADCAST, &(v4.to_bits() | host).to_be_bytes());
        }
        message
    }

    /// The request that adds this address.
    pub fn message(&self) -> Message {
        self.put(Message::new(NEW, wire::CREATE | wire::EXCL, &self.header()))
    }
}

impl Socket {
    /// Adds an address; one that is there already is no failure.
    pub fn add_address(&mut self, address: &Address) -> Result<()> {
        match self.request(address.message()) {
            Err(error) if !error.is_exists() => Err(error.doing(format!("add address {}", address.address))),
            _ => Ok(()),
        }
    }

    /// Takes an address away; one that is not there is no failure.
    pub fn delete_address(&mut self, address: &Address) -> Result<()> {
        match self.request(address.put(Message::new(DELETE, 0, &address.header()))) {
            Err(error) if !error.is_missing() => {
                Err(error.doing(format!("delete address {}", address.address)))
            }
            _ => Ok(()),
        }
    }

    /// Every address of the socket's namespace.
    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        let answers = self.dump(Message::new(GET, 0, &[0; HEADER])).map_err(|e| e.doing("list addresses"))?;
        Ok(answers.iter().filter_map(|answer| parse(&answer.body)).collect())
    }
}

fn parse(body: &[u8]) -> Option<Address> {
    let attributes = body.get(HEADER..)?;
    let value =
        wire::attribute(attributes, IFA_LOCAL).or_else(|| wire::attribute(attributes, IFA_ADDRESS))?;
    Some(Address { link: wire::u32_at(body, 4)?, address: from_octets(value)?, length: body[1] })
}
