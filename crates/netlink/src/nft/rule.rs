//! Rules as sentences: matches and statements in the order they are said.

use std::net::IpAddr;

use crate::address::octets;
use crate::nft::expression::{Base, Conntrack, Expression, FIRST_REGISTER, Meta, Verdict};
use crate::wire::Message;

/// `NF_CT_STATE_BIT(ESTABLISHED) | NF_CT_STATE_BIT(RELATED)`.
pub const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// `IPS_SRC_NAT`: the connection's source was rewritten.
pub const STATUS_SNAT: u32 = 1 << 4;
/// `IPS_DST_NAT`: the connection's destination was rewritten.
pub const STATUS_DNAT: u32 = 1 << 5;
/// `RTN_LOCAL`.
const LOCAL: u32 = 2;
const REGISTER: u32 = FIRST_REGISTER;
/// Offsets of the checksum in a TCP and a UDP header.
const TCP_CHECKSUM: u32 = 16;
const UDP_CHECKSUM: u32 = 6;

/// A field that sets and maps are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Field {
    InputName,
    OutputName,
    Transport,
    Source4,
    Destination4,
    Source6,
    Destination6,
    SourcePort,
    DestinationPort,
}

impl Field {
    fn load(self, register: u32) -> Expression {
        match self {
            Field::InputName => Expression::Meta(Meta::InputName, register),
            Field::OutputName => Expression::Meta(Meta::OutputName, register),
            Field::Transport => Expression::Meta(Meta::Transport, register),
            Field::Source4 => Expression::Payload(Base::Network, 12, 4, register),
            Field::Destination4 => Expression::Payload(Base::Network, 16, 4, register),
            Field::Source6 => Expression::Payload(Base::Network, 8, 16, register),
            Field::Destination6 => Expression::Payload(Base::Network, 24, 16, register),
            Field::SourcePort => Expression::Payload(Base::Transport, 0, 2, register),
            Field::DestinationPort => Expression::Payload(Base::Transport, 2, 2, register),
        }
    }

    fn registers(self) -> u32 {
        match self {
            Field::InputName | Field::OutputName | Field::Source6 | Field::Destination6 => 4,
            _ => 1,
        }
    }
}

/// A rule in the making: every method adds to the sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    expressions: Vec<Expression>,
    comment: String,
}

/// An interface name as the kernel compares it: sixteen bytes, zero filled.
pub fn interface_bytes(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

impl Rule {
    /// Matches everything and does nothing yet.
    pub fn new() -> Rule {
        Rule::default()
    }

    /// A remark that `nft list` shows.
    pub fn comment(mut self, text: &str) -> Rule {
        self.comment = text.to_owned();
        self
    }

    fn and(mut self, expressions: impl IntoIterator<Item = Expression>) -> Rule {
        self.expressions.extend(expressions);
        self
    }

    fn load(mut self, fields: &[Field]) -> Rule {
        let mut register = REGISTER;
        for field in fields {
            self.expressions.push(field.load(register));
            register += field.registers();
        }
        self
    }

    fn equals(self, load: Expression, value: Vec<u8>, differs: bool) -> Rule {
        self.and([load, Expression::Compare(REGISTER, value, differs)])
    }

    /// `meta nfproto`: the packet is of this address's family.
    pub fn family(self, ipv6: bool) -> Rule {
        self.equals(Expression::Meta(Meta::Family, REGISTER), vec![if ipv6 { 10 } else { 2 }], false)
    }

    /// `ether type`: what a frame on a bridge carries.
    pub fn ether_type(self, number: u16) -> Rule {
        self.equals(Expression::Meta(Meta::Protocol, REGISTER), number.to_be_bytes().to_vec(), false)
    }

    /// `iifname`.
    pub fn input(self, name: &str) -> Rule {
        self.equals(Field::InputName.load(REGISTER), interface_bytes(name), false)
    }

    /// `iifname !=`.
    pub fn not_input(self, name: &str) -> Rule {
        self.equals(Field::InputName.load(REGISTER), interface_bytes(name), true)
    }

    /// `oifname`.
    pub fn output(self, name: &str) -> Rule {
        self.equals(Field::OutputName.load(REGISTER), interface_bytes(name), false)
    }

    /// `oifname !=`.
    pub fn not_output(self, name: &str) -> Rule {
        self.equals(Field::OutputName.load(REGISTER), interface_bytes(name), true)
    }

    /// `meta l4proto`.
    pub fn transport(self, number: u8) -> Rule {
        self.equals(Field::Transport.load(REGISTER), vec![number], false)
    }

    /// `th dport`.
    pub fn destination_port(self, port: u16) -> Rule {
        self.equals(Field::DestinationPort.load(REGISTER), port.to_be_bytes().to_vec(), false)
    }

    /// `th sport`.
    pub fn source_port(self, port: u16) -> Rule {
        self.equals(Field::SourcePort.load(REGISTER), port.to_be_bytes().to_vec(), false)
    }

    /// `ip saddr address/length` (family matched as well).
    pub fn source(self, address: IpAddr, length: u8) -> Rule {
        self.address(if address.is_ipv6() { Field::Source6 } else { Field::Source4 }, address, length, false)
    }

    /// `ip daddr address/length` (family matched as well).
    pub fn destination(self, address: IpAddr, length: u8) -> Rule {
        self.address(
            if address.is_ipv6() { Field::Destination6 } else { Field::Destination4 },
            address,
            length,
            false,
        )
    }

    /// `ip daddr != address/length` (family matched as well).
    pub fn not_destination(self, address: IpAddr, length: u8) -> Rule {
        self.address(
            if address.is_ipv6() { Field::Destination6 } else { Field::Destination4 },
            address,
            length,
            true,
        )
    }

    fn address(self, field: Field, address: IpAddr, length: u8, differs: bool) -> Rule {
        let bytes = octets(address);
        let mask = mask(bytes.len(), length);
        let value = bytes.iter().zip(&mask).map(|(byte, mask)| byte & mask).collect();
        let rule = self.family(address.is_ipv6()).and([field.load(REGISTER)]);
        let whole = mask.iter().all(|byte| *byte == 0xff);
        let rule = if whole { rule } else { rule.and([Expression::Mask(REGISTER, mask)]) };
        rule.and([Expression::Compare(REGISTER, value, differs)])
    }

    /// `fib daddr type local`: the destination is an address of this host.
    pub fn to_local(self) -> Rule {
        self.equals(Expression::DestinationType(REGISTER), LOCAL.to_ne_bytes().to_vec(), false)
    }

    /// `fib saddr type local`: the source is an address of this host.
    pub fn from_local(self) -> Rule {
        self.equals(Expression::SourceType(REGISTER), LOCAL.to_ne_bytes().to_vec(), false)
    }

    /// `ct state`: any of the bits.
    pub fn state(self, bits: u32) -> Rule {
        self.connection(Conntrack::State, bits)
    }

    /// `ct status`: any of the bits.
    pub fn status(self, bits: u32) -> Rule {
        self.connection(Conntrack::Status, bits)
    }

    fn connection(self, key: Conntrack, bits: u32) -> Rule {
        self.and([
            Expression::Conntrack(key, REGISTER),
            Expression::Mask(REGISTER, bits.to_ne_bytes().to_vec()),
            Expression::Compare(REGISTER, vec![0; 4], true),
        ])
    }

    /// The fields are in the set.
    pub fn in_set(self, fields: &[Field], set: &str) -> Rule {
        self.load(fields).and([Expression::InSet(set.to_owned(), REGISTER, false)])
    }

    /// The fields are not in the set.
    pub fn not_in_set(self, fields: &[Field], set: &str) -> Rule {
        self.load(fields).and([Expression::InSet(set.to_owned(), REGISTER, true)])
    }

    /// The verdict that the map has for the fields.
    pub fn verdict_map(self, fields: &[Field], map: &str) -> Rule {
        self.load(fields).and([Expression::VerdictMap(map.to_owned(), REGISTER)])
    }

    /// `dnat` to the address, or with `port` the address and port, that the map has for the fields.
    pub fn dnat_map(self, fields: &[Field], map: &str, ipv6: bool, port: bool) -> Rule {
        let (family, width) = if ipv6 { (10, 4) } else { (2, 1) };
        self.load(fields).and([
            Expression::Map(map.to_owned(), REGISTER, REGISTER),
            Expression::Dnat(family, REGISTER, port.then_some(REGISTER + width)),
        ])
    }

    /// `dnat` to the address that the first map has for the fields, and to a port that follows from the packet's own and
    /// the range that the other two give: see [`Expression::DnatShifted`]. (Three maps, because `nft` cannot show one.)
    pub fn dnat_shifted(self, fields: &[Field], [address, first, last]: [&str; 3], ipv6: bool) -> Rule {
        const KEY_WIDTH: u32 = 6;
        let (family, width) = if ipv6 { (10, 4) } else { (2, 1) };
        let to = REGISTER + KEY_WIDTH;
        let map = |name: &str, register| Expression::Map(name.to_owned(), REGISTER, register);
        self.load(fields).and([
            map(address, to),
            map(first, to + width),
            map(last, to + width + 1),
            Expression::DnatShifted(family, to, to + width, to + width + 1),
        ])
    }

    /// `snat to address`.
    pub fn snat(self, address: IpAddr) -> Rule {
        let family = if address.is_ipv6() { 10 } else { 2 };
        self.and([Expression::Load(REGISTER, octets(address)), Expression::Snat(family, REGISTER)])
    }

    /// `masquerade`.
    pub fn masquerade(self) -> Rule {
        self.and([Expression::Masquerade])
    }

    /// `th dport set`, statelessly, of a TCP (6) or UDP (17) packet.
    pub fn write_destination_port(self, transport: u8, port: u16) -> Rule {
        self.write_port(2, transport, port)
    }

    /// `th sport set`, statelessly, of a TCP (6) or UDP (17) packet.
    pub fn write_source_port(self, transport: u8, port: u16) -> Rule {
        self.write_port(0, transport, port)
    }

    fn write_port(self, offset: u32, transport: u8, port: u16) -> Rule {
        let checksum = if transport == 6 { TCP_CHECKSUM } else { UDP_CHECKSUM };
        self.and([
            Expression::Load(REGISTER, port.to_be_bytes().to_vec()),
            Expression::WriteTransport(offset, 2, REGISTER, checksum),
        ])
    }

    /// `counter`.
    pub fn counter(self) -> Rule {
        self.and([Expression::Counter])
    }

    /// `reject with icmpx admin-prohibited`.
    pub fn reject(self) -> Rule {
        self.and([Expression::Reject])
    }

    /// The sentence's end.
    pub fn verdict(self, verdict: Verdict) -> Rule {
        self.and([Expression::Verdict(verdict)])
    }

    /// `accept`.
    pub fn accept(self) -> Rule {
        self.verdict(Verdict::Accept)
    }

    /// `drop`.
    pub fn drop(self) -> Rule {
        self.verdict(Verdict::Drop)
    }

    /// `return`.
    pub fn leave(self) -> Rule {
        self.verdict(Verdict::Return)
    }

    /// `jump`.
    pub fn jump(self, chain: &str) -> Rule {
        self.verdict(Verdict::Jump(chain.to_owned()))
    }

    pub(crate) fn put(&self, message: &mut Message) {
        message.nest(4, |m| {
            for expression in &self.expressions {
                m.nest(1, |m| expression.put(m));
            }
        });
        if !self.comment.is_empty() {
            message.put(7, &comment_bytes(&self.comment));
        }
    }
}

/// libnftnl's user data: type 0 is the comment, one byte of length, the text with its zero.
pub(crate) fn comment_bytes(text: &str) -> Vec<u8> {
    let text = &text.as_bytes()[..text.len().min(120)];
    let mut bytes = vec![0, text.len() as u8 + 1];
    bytes.extend_from_slice(text);
    bytes.push(0);
    bytes
}

fn mask(bytes: usize, length: u8) -> Vec<u8> {
    (0..bytes)
        .map(|at| {
            let bits = usize::from(length).saturating_sub(at * 8).min(8);
            (0xff00u16 >> bits) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_prefixes() {
        assert_eq!(mask(4, 12), [0xff, 0xf0, 0, 0]);
        assert_eq!(mask(4, 32), [0xff; 4]);
        assert_eq!(mask(4, 0), [0; 4]);
    }
}
