//! What others change: the multicast group `NFNLGRP_NFTABLES`.

use crate::error::Result;
use crate::nft::listing::{ListedRule, parse_rule};
use crate::nft::{self, Family, SUBSYSTEM};
use crate::socket::{Service, Socket};
use crate::wire::{self, Answer};

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;

/// A change that somebody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The port of the socket that asked for it.
    pub port: u32,
    /// Something was taken away.
    pub removal: bool,
    /// Family of the table, when it is one we know.
    pub family: Option<Family>,
    /// The table.
    pub table: String,
    /// The chain, for chains and rules.
    pub chain: Option<String>,
    /// A rule that was added, as a listing would show it.
    pub rule: Option<ListedRule>,
}

impl Socket {
    /// Opens a socket that hears every change of nftables in this namespace.
    pub fn nftables_events() -> Result<Socket> {
        Socket::listen(Service::Netfilter, GROUP)
    }
}

/// Reads a received message as a change; `None` for generation marks and what is not nftables.
pub fn event(answer: &Answer) -> Option<Event> {
    if answer.kind >> 8 != SUBSYSTEM {
        return None;
    }
    let kind = answer.kind & 0xff;
    let attributes = answer.body.get(4..)?;
    let text = |kind| wire::attribute(attributes, kind).map(wire::text);
    let chain = match kind {
        nft::NEW_CHAIN | nft::DELETE_CHAIN => text(3),
        nft::NEW_RULE | nft::DELETE_RULE => text(2),
        nft::NEW_TABLE
        | nft::DELETE_TABLE
        | nft::NEW_SET
        | nft::DELETE_SET
        | nft::NEW_ELEMENT
        | nft::DELETE_ELEMENT => None,
        _ => return None,
    };
    Some(Event {
        port: answer.port,
        removal: matches!(
            kind,
            nft::DELETE_TABLE | nft::DELETE_CHAIN | nft::DELETE_RULE | nft::DELETE_SET | nft::DELETE_ELEMENT
        ),
        family: Family::from_number(*answer.body.first()?),
        table: text(1)?,
        rule: chain
            .as_deref()
            .filter(|_| kind == nft::NEW_RULE)
            .and_then(|chain| parse_rule(&answer.body, chain)),
        chain,
    })
}
