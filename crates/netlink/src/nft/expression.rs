//! The instructions of the nftables virtual machine, each `NFTA_EXPR_NAME` + `NFTA_EXPR_DATA`.
//!
//! Registers are the 32-bit ones (`NFT_REG32_00` on); a value takes as many as it needs, so a concatenation is its
//! parts in consecutive registers, each padded to four bytes.

use crate::wire::Message;

/// `NF_NAT_RANGE_PROTO_OFFSET` (`linux/netfilter/nf_nat.h`): the port's distance from a base is kept. nftables gives no
/// base, so it is 0, and the distance is taken modulo the range's size (`nf_nat_l4proto_unique_tuple`).
const NAT_RANGE_PROTO_OFFSET: u32 = 1 << 5;

/// The first 32-bit register.
pub const FIRST_REGISTER: u32 = 8;
const VERDICT_REGISTER: u32 = 0;

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Passes this chain's hook.
    Accept,
    /// Is gone.
    Drop,
    /// Goes on behind the jump.
    Return,
    /// Goes through another chain and comes back.
    Jump(String),
    /// Goes through another chain and does not come back.
    Goto(String),
}

impl Verdict {
    pub(crate) fn put(&self, message: &mut Message) {
        let (code, chain): (i32, _) = match self {
            Verdict::Drop => (0, None),
            Verdict::Accept => (1, None),
            Verdict::Return => (-5, None),
            Verdict::Jump(chain) => (-3, Some(chain)),
            Verdict::Goto(chain) => (-4, Some(chain)),
        };
        message.nest(2, |m| {
            m.put_be32(1, code as u32);
            if let Some(chain) = chain {
                m.put_str(2, chain);
            }
        });
    }
}

/// `NFT_META_*` keys in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "nft(8)'s own words")]
pub enum Meta {
    Protocol = 1,
    Mark = 3,
    InputName = 6,
    OutputName = 7,
    Family = 15,
    Transport = 16,
}

/// `NFT_CT_*` keys in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "nft(8)'s own words")]
pub enum Conntrack {
    State = 0,
    Status = 2,
}

/// Where a payload offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "nft(8)'s own words")]
pub enum Base {
    Network = 1,
    Transport = 2,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Loads a fact about the packet.
    Meta(Meta, u32),
    /// Loads bytes of the packet: base, offset, length, register.
    Payload(Base, u32, u32, u32),
    /// Writes a register into the transport header: offset, length, register, offset of the checksum.
    WriteTransport(u32, u32, u32, u32),
    /// Loads a fact about the connection.
    Conntrack(Conntrack, u32),
    /// Loads the kind of the destination address (`fib daddr type`).
    DestinationType(u32),
    /// Loads the kind of the source address (`fib saddr type`).
    SourceType(u32),
    /// `register & mask`, in place.
    Mask(u32, Vec<u8>),
    /// Goes on when the register equals the value, or with `true` when it differs.
    Compare(u32, Vec<u8>, bool),
    /// Loads a value.
    Load(u32, Vec<u8>),
    /// Goes on when the registers are in the set, or with `true` when they are not.
    InSet(String, u32, bool),
    /// Loads what the map has for the registers: map, key register, data register. Goes no further when it has nothing.
    Map(String, u32, u32),
    /// Takes the verdict that the map has for the registers, if any.
    VerdictMap(String, u32),
    /// Rewrites the destination: family number, address register, port register.
    Dnat(u8, u32, Option<u32>),
    /// Rewrites the destination: family number, address register, registers of a first and a last port. The port becomes
    /// `first + port % (last - first + 1)`.
    DnatShifted(u8, u32, u32, u32),
    /// Rewrites the source: family number, address register.
    Snat(u8, u32),
    /// Rewrites the source to the outgoing interface's address.
    Masquerade,
    /// Counts.
    Counter,
    /// Answers with a refusal instead of silence.
    Reject,
    /// Decides.
    Verdict(Verdict),
}

impl Expression {
    pub(crate) fn put(&self, message: &mut Message) {
        message.put_str(1, self.name());
        message.nest(2, |m| self.fill(m));
    }

    fn name(&self) -> &'static str {
        match self {
            Expression::Meta(..) => "meta",
            Expression::Payload(..) | Expression::WriteTransport(..) => "payload",
            Expression::Conntrack(..) => "ct",
            Expression::DestinationType(_) | Expression::SourceType(_) => "fib",
            Expression::Mask(..) => "bitwise",
            Expression::Compare(..) => "cmp",
            Expression::Load(..) | Expression::Verdict(_) => "immediate",
            Expression::InSet(..) | Expression::Map(..) | Expression::VerdictMap(..) => "lookup",
            Expression::Dnat(..) | Expression::DnatShifted(..) | Expression::Snat(..) => "nat",
            Expression::Masquerade => "masq",
            Expression::Counter => "counter",
            Expression::Reject => "reject",
        }
    }

    fn fill(&self, m: &mut Message) {
        const CHECKSUM_INET: u32 = 1;
        const FIB_ADDRESS_TYPE: u32 = 3;
        match self {
            Expression::Meta(key, register) => m.put_be32(1, *register).put_be32(2, *key as u32).end(),
            Expression::Payload(base, offset, length, register) => {
                m.put_be32(1, *register).put_be32(2, *base as u32).put_be32(3, *offset).put_be32(4, *length);
            }
            Expression::WriteTransport(offset, length, register, checksum) => {
                m.put_be32(2, Base::Transport as u32).put_be32(3, *offset).put_be32(4, *length);
                m.put_be32(5, *register).put_be32(6, CHECKSUM_INET).put_be32(7, *checksum).put_be32(8, 0);
            }
            Expression::Conntrack(key, register) => m.put_be32(1, *register).put_be32(2, *key as u32).end(),
            Expression::DestinationType(register) => {
                m.put_be32(1, *register).put_be32(2, FIB_ADDRESS_TYPE).put_be32(3, 2);
            }
            Expression::SourceType(register) => {
                m.put_be32(1, *register).put_be32(2, FIB_ADDRESS_TYPE).put_be32(3, 1);
            }
            Expression::Mask(register, mask) => {
                m.put_be32(1, *register).put_be32(2, *register).put_be32(3, mask.len() as u32);
                m.nest(4, |m| m.put(1, mask).end()).nest(5, |m| m.put(1, &vec![0; mask.len()]).end());
            }
            Expression::Compare(register, value, differs) => {
                m.put_be32(1, *register).put_be32(2, u32::from(*differs)).nest(3, |m| m.put(1, value).end());
            }
            Expression::Load(register, value) => {
                m.put_be32(1, *register).nest(2, |m| m.put(1, value).end()).end()
            }
            Expression::InSet(set, register, inverted) => {
                m.put_str(1, set).put_be32(2, *register).put_be32(5, u32::from(*inverted));
            }
            Expression::Map(set, key, data) => m.put_str(1, set).put_be32(2, *key).put_be32(3, *data).end(),
            Expression::VerdictMap(set, key) => {
                m.put_str(1, set).put_be32(2, *key).put_be32(3, VERDICT_REGISTER);
            }
            Expression::Dnat(family, address, port) => {
                m.put_be32(1, 1).put_be32(2, u32::from(*family)).put_be32(3, *address);
                if let Some(port) = port {
                    m.put_be32(5, *port);
                }
            }
            Expression::DnatShifted(family, address, first, last) => {
                m.put_be32(1, 1).put_be32(2, u32::from(*family)).put_be32(3, *address);
                m.put_be32(5, *first).put_be32(6, *last).put_be32(7, NAT_RANGE_PROTO_OFFSET);
            }
            Expression::Snat(family, address) => {
                m.put_be32(1, 0).put_be32(2, u32::from(*family)).put_be32(3, *address);
            }
            Expression::Masquerade => {}
            Expression::Counter => m.put_be64(1, 0).put_be64(2, 0).end(),
            // ICMPX_UNREACH, administratively prohibited.
            Expression::Reject => m.put_be32(1, 2).put_u8(2, 3).end(),
            Expression::Verdict(verdict) => {
                m.put_be32(1, VERDICT_REGISTER).nest(2, |m| verdict.put(m));
            }
        }
    }
}
