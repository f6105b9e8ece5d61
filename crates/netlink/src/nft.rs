//! nftables: tables, chains, rules, sets and maps, changed in one transaction.
//!
//! Encodes `linux/netfilter/nf_tables.h` behind `struct nfgenmsg { u8 family; u8 version; u16 subsystem; }`. All
//! numbers in nftables attributes are big endian. A [`Batch`] is a transaction: the kernel does all of it or nothing,
//! and packets see either the old rules or the new ones.
//!
//! [`expression`] holds the virtual machine's instructions, [`rule`] strings them into sentences, [`set`] has keys and
//! data, [`listing`] reads back what stands, [`event`] hears what others change.

use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::error::{Error, Result};
use crate::socket::{Socket, verdict};
use crate::wire::{self, Message};

pub mod event;
pub mod expression;
pub mod listing;
pub mod rule;
pub mod set;

pub use expression::{Expression, Verdict};
pub use rule::Rule;
pub use set::{Data, Element, KeyType, Set};

pub(crate) const SUBSYSTEM: u16 = 10;
pub(crate) const NEW_TABLE: u16 = 0;
pub(crate) const GET_TABLE: u16 = 1;
pub(crate) const DELETE_TABLE: u16 = 2;
pub(crate) const NEW_CHAIN: u16 = 3;
pub(crate) const GET_CHAIN: u16 = 4;
pub(crate) const DELETE_CHAIN: u16 = 5;
pub(crate) const NEW_RULE: u16 = 6;
pub(crate) const GET_RULE: u16 = 7;
pub(crate) const DELETE_RULE: u16 = 8;
pub(crate) const NEW_SET: u16 = 9;
pub(crate) const GET_SET: u16 = 10;
pub(crate) const DELETE_SET: u16 = 11;
pub(crate) const NEW_ELEMENT: u16 = 12;
pub(crate) const GET_ELEMENT: u16 = 13;
pub(crate) const DELETE_ELEMENT: u16 = 14;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// Elements per message: a nest is bounded by 64 KiB, an element takes at most about 150 bytes.
const ELEMENTS_PER_MESSAGE: usize = 256;

/// The family of a table (`NFPROTO_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet = 1,
    /// IPv4.
    Ip = 2,
    /// Frames on a bridge.
    Bridge = 7,
    /// IPv6.
    Ip6 = 10,
}

impl Family {
    /// The family of a number from the kernel; families we never touch are `None`.
    pub fn from_number(number: u8) -> Option<Family> {
        [Family::Inet, Family::Ip, Family::Bridge, Family::Ip6].into_iter().find(|f| *f as u8 == number)
    }

    /// `nft`'s word.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::Inet => "inet",
            Family::Ip => "ip",
            Family::Bridge => "bridge",
            Family::Ip6 => "ip6",
        }
    }
}

/// Where a base chain hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// What its rules may do.
    pub kind: ChainKind,
    /// Where in a packet's path.
    pub point: HookPoint,
    /// Lower comes earlier.
    pub priority: i32,
    /// Whether packets that no rule decides are dropped.
    pub drop: bool,
}

/// `type` of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "nft(8)'s own words")]
pub enum ChainKind {
    Filter,
    Nat,
    Route,
}

/// Where in a packet's path (`NF_INET_*`, the same numbers in the bridge family).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "nft(8)'s own words")]
pub enum HookPoint {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// A table's full name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table<'a> {
    /// Family.
    pub family: Family,
    /// Name.
    pub name: &'a str,
}

/// A transaction in the making.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    messages: Vec<Message>,
}

pub(crate) fn message(family: Family, kind: u16, flags: u16) -> Message {
    Message::new(SUBSYSTEM << 8 | kind, flags, &[family as u8, 0, 0, 0])
}

impl Batch {
    /// Nothing yet.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    fn push(&mut self, table: Table<'_>, kind: u16, flags: u16, fill: impl FnOnce(&mut Message)) {
        let mut message = message(table.family, kind, flags);
        message.put_str(1, table.name);
        fill(&mut message);
        self.messages.push(message);
    }

    /// Makes a table; one that is there stays as it is.
    pub fn add_table(&mut self, table: Table<'_>) {
        self.push(table, NEW_TABLE, wire::CREATE, |_| {});
    }

    /// Deletes a table and all in it, whether or not it is there.
    pub fn delete_table(&mut self, table: Table<'_>) {
        self.add_table(table);
        self.push(table, DELETE_TABLE, 0, |_| {});
    }

    /// Makes a chain; one without a hook is jumped to.
    pub fn add_chain(&mut self, table: Table<'_>, name: &str, hook: Option<Hook>) {
        self.push(table, NEW_CHAIN, wire::CREATE, |m| {
            m.put_str(3, name);
            if let Some(hook) = hook {
                m.nest(4, |m| m.put_be32(1, hook.point as u32).put_be32(2, hook.priority as u32).end());
                m.put_be32(5, u32::from(!hook.drop));
                m.put_str(
                    7,
                    match hook.kind {
                        ChainKind::Filter => "filter",
                        ChainKind::Nat => "nat",
                        ChainKind::Route => "route",
                    },
                );
            }
        });
    }

    /// Deletes an empty chain that nothing jumps to.
    pub fn delete_chain(&mut self, table: Table<'_>, name: &str) {
        self.push(table, DELETE_CHAIN, 0, |m| m.put_str(3, name).end());
    }

    /// Deletes the rules of a chain.
    pub fn flush_chain(&mut self, table: Table<'_>, name: &str) {
        self.push(table, DELETE_RULE, 0, |m| m.put_str(2, name).end());
    }

    /// Appends a rule to a chain.
    pub fn add_rule(&mut self, table: Table<'_>, chain: &str, rule: &Rule) {
        self.push(table, NEW_RULE, wire::CREATE | wire::APPEND, |m| {
            m.put_str(2, chain);
            rule.put(m);
        });
    }

    /// Appends a rule as [`listing`] read it.
    pub fn add_listed_rule(&mut self, table: Table<'_>, chain: &str, rule: &listing::ListedRule) {
        self.push(table, NEW_RULE, wire::CREATE | wire::APPEND, |m| {
            m.put_str(2, chain).put(4 | 0x8000, &rule.expressions);
            if !rule.userdata.is_empty() {
                m.put(7, &rule.userdata);
            }
        });
    }

    /// Puts a rule in front of a chain.
    pub fn insert_rule(&mut self, table: Table<'_>, chain: &str, rule: &Rule) {
        self.push(table, NEW_RULE, wire::CREATE, |m| {
            m.put_str(2, chain);
            rule.put(m);
        });
    }

    /// Deletes one rule by its handle.
    pub fn delete_rule(&mut self, table: Table<'_>, chain: &str, handle: u64) {
        self.push(table, DELETE_RULE, 0, |m| m.put_str(2, chain).put_be64(3, handle).end());
    }

    /// Makes a set or a map.
    pub fn add_set(&mut self, table: Table<'_>, set: &Set<'_>) {
        self.push(table, NEW_SET, wire::CREATE, |m| set.put(m));
    }

    /// Deletes a set or a map that no rule uses.
    pub fn delete_set(&mut self, table: Table<'_>, name: &str) {
        self.push(table, DELETE_SET, 0, |m| m.put_str(2, name).end());
    }

    /// Adds elements.
    pub fn add_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) {
        self.elements(table, NEW_ELEMENT, wire::CREATE, set, elements);
    }

    /// Deletes elements; one that is not there fails the transaction.
    pub fn delete_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) {
        self.elements(table, DELETE_ELEMENT, 0, set, elements);
    }

    fn elements(&mut self, table: Table<'_>, kind: u16, flags: u16, set: &str, elements: &[Element]) {
        for part in elements.chunks(ELEMENTS_PER_MESSAGE) {
            self.push(table, kind, flags, |m| {
                m.put_str(2, set).nest(3, |m| {
                    for element in part {
                        m.nest(1, |m| element.put(m));
                    }
                });
            });
        }
    }
}

impl Socket {
    /// Does a transaction. Nothing of it happened when this fails.
    pub fn commit(&mut self, batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        // Every message that is refused is answered; of the others only the last asks for an answer.
        let mark = |kind| Message::new(kind, 0, &[0, 0, 0, SUBSYSTEM as u8]);
        let mut bytes = mark(BATCH_BEGIN).finish(self.next(), 0);
        let count = batch.messages.len();
        let mut last = 0;
        for (at, message) in batch.messages.into_iter().enumerate() {
            last = self.next();
            bytes.extend_from_slice(&message.finish(last, if at + 1 == count { wire::ACK } else { 0 }));
        }
        bytes.extend_from_slice(&mark(BATCH_END).finish(self.next(), 0));
        self.fit_send_buffer(bytes.len());
        self.send(&bytes).map_err(|e| e.doing("nftables transaction"))?;
        self.outcome(last)
    }

    /// The kernel has answered everything by the time the send returns, so reading stops where the queue is empty.
    fn outcome(&mut self, last: u32) -> Result<()> {
        let mut first = Ok(());
        let mut acknowledged = false;
        loop {
            match self.receive_with(RecvFlags::DONTWAIT) {
                Ok(answers) => {
                    for answer in answers.iter().filter(|answer| answer.kind == wire::ERROR) {
                        acknowledged |= answer.sequence == last;
                        first = first.and(verdict(answer).map_err(|e| e.doing("nftables transaction")));
                    }
                }
                Err(error) if error.errno == Errno::AGAIN => break,
                Err(error) => return Err(error.doing("nftables transaction")),
            }
        }
        match first {
            Ok(()) if !acknowledged => Err(Error::new(Errno::PROTO).doing("nftables transaction")),
            outcome => outcome,
        }
    }

    /// A send larger than the socket's buffer is refused outright.
    fn fit_send_buffer(&self, bytes: usize) {
        const SMALL: usize = 128 * 1024;
        if bytes > SMALL {
            let wanted = bytes.saturating_mul(2);
            if rustix::net::sockopt::set_socket_send_buffer_size_force(self, wanted).is_err() {
                let _ = rustix::net::sockopt::set_socket_send_buffer_size(self, wanted);
            }
        }
    }
}
