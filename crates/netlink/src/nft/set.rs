//! Sets and maps: declarations and elements.
//!
//! `NFTA_SET_*` and `NFTA_SET_ELEM_*`. A key of several fields is a concatenation, every field padded to four bytes.
//! Intervals of one field are two elements, the second with `NFT_SET_ELEM_INTERVAL_END` (exclusive); intervals of
//! concatenations are one element with `KEY` and `KEY_END` (inclusive).

use std::net::IpAddr;

use crate::address::octets;
use crate::nft::expression::Verdict;
use crate::nft::rule::interface_bytes;
use crate::wire::Message;

const FLAG_INTERVAL: u32 = 0x4;
const FLAG_MAP: u32 = 0x8;
const FLAG_CONCATENATION: u32 = 0x80;
const ELEMENT_INTERVAL_END: u32 = 1;
const TYPE_VERDICT: u32 = 0xffff_ff00;

/// The type of a field, with `nft`'s number for it so that `nft list` can print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "nft(8)'s own words")]
pub enum KeyType {
    Ipv4Address,
    Ipv6Address,
    InetProtocol,
    InetService,
    InterfaceName,
}

impl KeyType {
    fn number(self) -> u32 {
        match self {
            KeyType::Ipv4Address => 7,
            KeyType::Ipv6Address => 8,
            KeyType::InetProtocol => 12,
            KeyType::InetService => 13,
            KeyType::InterfaceName => 41,
        }
    }

    fn bytes(self) -> u32 {
        match self {
            KeyType::Ipv4Address => 4,
            KeyType::Ipv6Address | KeyType::InterfaceName => 16,
            KeyType::InetProtocol => 1,
            KeyType::InetService => 2,
        }
    }
}

fn number(fields: &[KeyType]) -> u32 {
    fields.iter().fold(0, |number, field| number << 6 | field.number())
}

fn length(fields: &[KeyType]) -> u32 {
    match fields {
        [single] => single.bytes(),
        several => several.iter().map(|field| field.bytes().next_multiple_of(4)).sum(),
    }
}

/// What a map gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives<'a> {
    /// Nothing: a set.
    Membership,
    /// A verdict.
    Verdict,
    /// A value of these fields.
    Value(&'a [KeyType]),
}

/// A set or map to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set<'a> {
    /// Name.
    pub name: &'a str,
    /// Fields of the key.
    pub key: &'a [KeyType],
    /// What it gives.
    pub gives: Gives<'a>,
    /// Whether keys may be ranges.
    pub interval: bool,
}

impl Set<'_> {
    pub(crate) fn put(&self, m: &mut Message) {
        let ranges_of_several = self.interval && self.key.len() > 1;
        let mut flags = if self.interval { FLAG_INTERVAL } else { 0 };
        if ranges_of_several {
            flags |= FLAG_CONCATENATION;
        }
        if self.gives != Gives::Membership {
            flags |= FLAG_MAP;
        }
        m.put_str(2, self.name)
            .put_be32(3, flags)
            .put_be32(4, number(self.key))
            .put_be32(5, length(self.key));
        match self.gives {
            Gives::Membership => {}
            Gives::Verdict => m.put_be32(6, TYPE_VERDICT).put_be32(7, 0).end(),
            Gives::Value(fields) => m.put_be32(6, number(fields)).put_be32(7, length(fields)).end(),
        }
        if ranges_of_several {
            m.nest(9, |m| {
                m.nest(2, |m| {
                    for field in self.key {
                        m.nest(1, |m| m.put_be32(1, field.bytes()).end());
                    }
                });
            });
        }
        if self.key == [KeyType::InterfaceName] {
            // libnftnl's user data: names are kept in the machine's byte order; `nft list` prints nothing otherwise.
            m.put(13, &[0, 4, 1, 0, 0, 0]);
        }
        // Within one transaction a set is also known by a number; names suffice here, the kernel wants it all the same.
        m.put_be32(10, 0);
    }
}

/// A value in a key or in a map's data: fields, each padded to four bytes when there are several.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Data {
    bytes: Vec<u8>,
    fields: usize,
}

impl Data {
    /// No field yet.
    pub fn new() -> Data {
        Data::default()
    }

    fn field(mut self, value: &[u8]) -> Data {
        if self.fields == 1 {
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        }
        self.bytes.extend_from_slice(value);
        self.fields += 1;
        if self.fields > 1 {
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        }
        self
    }

    /// Adds an address.
    pub fn address(self, address: IpAddr) -> Data {
        self.field(&octets(address))
    }

    /// Adds a port.
    pub fn port(self, port: u16) -> Data {
        self.field(&port.to_be_bytes())
    }

    /// Adds a protocol number.
    pub fn protocol(self, number: u8) -> Data {
        self.field(&[number])
    }

    /// Adds an interface name.
    pub fn interface(self, name: &str) -> Data {
        self.field(&interface_bytes(name))
    }

    /// The bytes as the kernel keeps them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What an element gives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// Data of a map.
    Data(Data),
    /// A verdict.
    Verdict(Verdict),
}

/// One element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Element {
    key: Data,
    end: Option<Data>,
    value: Option<Value>,
    closes: bool,
}

impl Element {
    /// A single key.
    pub fn key(key: Data) -> Element {
        Element { key, end: None, value: None, closes: false }
    }

    /// A range of a concatenation, both ends inclusive.
    pub fn range(first: Data, last: Data) -> Element {
        Element { key: first, end: Some(last), value: None, closes: false }
    }

    /// The end of a one-field interval: the first key behind it.
    pub fn closing(behind: Data) -> Element {
        Element { key: behind, end: None, value: None, closes: true }
    }

    /// What the map gives for it.
    pub fn gives(mut self, value: Value) -> Element {
        self.value = Some(value);
        self
    }

    pub(crate) fn put(&self, m: &mut Message) {
        m.nest(1, |m| m.put(1, &self.key.bytes).end());
        if let Some(end) = &self.end {
            m.nest(10, |m| m.put(1, &end.bytes).end());
        }
        match &self.value {
            Some(Value::Data(data)) => m.nest(2, |m| m.put(1, &data.bytes).end()).end(),
            Some(Value::Verdict(verdict)) => m.nest(2, |m| verdict.put(m)).end(),
            None => {}
        }
        if self.closes {
            m.put_be32(3, ELEMENT_INTERVAL_END);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concatenations_are_padded_and_single_fields_are_not() {
        let single = Data::new().port(80);
        assert_eq!(single.as_bytes(), [0, 80]);
        let several = Data::new().protocol(6).address("10.0.0.1".parse().unwrap()).port(80);
        assert_eq!(several.as_bytes(), [6, 0, 0, 0, 10, 0, 0, 1, 0, 80, 0, 0]);
        assert_eq!(length(&[KeyType::InetProtocol, KeyType::Ipv4Address, KeyType::InetService]), 12);
    }
}
