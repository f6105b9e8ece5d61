//! Reading back what stands: tables, chains, rules, elements.

use rustix::io::Errno;

use crate::error::Result;
use crate::nft::{self, Family, SUBSYSTEM, Table, message};
use crate::socket::Socket;
use crate::wire;

const HEADER: usize = 4;

/// A chain as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedChain {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Hook number and priority of a base chain.
    pub hook: Option<(u32, i32)>,
    /// Whether its policy is drop.
    pub drops: bool,
}

/// A rule as the kernel lists it: enough to tell it, to delete it, and to write it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRule {
    /// For deletion.
    pub handle: u64,
    /// `NFTA_RULE_EXPRESSIONS`, raw.
    pub expressions: Vec<u8>,
    /// `NFTA_RULE_USERDATA`, raw.
    pub userdata: Vec<u8>,
}

/// An element as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedElement {
    /// The key's bytes.
    pub key: Vec<u8>,
    /// The end of a range.
    pub end: Option<Vec<u8>>,
    /// The data of a map.
    pub data: Option<Vec<u8>>,
}

impl ListedRule {
    /// The rule's comment.
    pub fn comment(&self) -> Option<String> {
        match self.userdata.as_slice() {
            [0, length, text @ ..] => text.get(..usize::from(*length)).map(wire::text),
            _ => None,
        }
    }

    /// Whether the rule asks a nameless set, which cannot be written again by itself.
    pub fn has_nameless_set(&self) -> bool {
        wire::attributes(&self.expressions).any(|(_, expression)| {
            let name = wire::attribute(expression, 1).map(wire::text);
            let set =
                wire::attribute(expression, 2).and_then(|data| wire::attribute(data, 1)).map(wire::text);
            name.as_deref() == Some("lookup") && set.is_some_and(|set| set.starts_with("__"))
        })
    }
}

impl Socket {
    /// Whether a table is there.
    pub fn has_table(&mut self, table: Table<'_>) -> Result<bool> {
        let mut request = message(table.family, nft::GET_TABLE, 0);
        request.put_str(1, table.name);
        match self.request(request) {
            Ok(_) => Ok(true),
            Err(error) if error.is_missing() => Ok(false),
            Err(mut error) => {
                // The question is well formed. Netfilter's netlink without nf_tables answers so to whoever asks for a subsystem
                // it does not have.
                if error.errno == Errno::INVAL {
                    error.errno = Errno::OPNOTSUPP;
                }
                Err(error.doing(format!("find table {}", table.name)))
            }
        }
    }

    /// Every chain of every table.
    pub fn chains(&mut self) -> Result<Vec<ListedChain>> {
        let kind = SUBSYSTEM << 8 | nft::GET_CHAIN;
        let answers = self
            .dump(wire::Message::new(kind, 0, &[0, 0, 0, 0]))
            .map_err(|e| e.doing("list nftables chains"))?;
        Ok(answers.iter().filter_map(|answer| parse_chain(&answer.body)).collect())
    }

    /// The rules of a chain, in order; of a chain that is not there, none.
    pub fn rules(&mut self, table: Table<'_>, chain: &str) -> Result<Vec<ListedRule>> {
        let mut request = message(table.family, nft::GET_RULE, 0);
        request.put_str(1, table.name).put_str(2, chain);
        let answers = match self.dump(request) {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            other => other.map_err(|e| e.doing(format!("list rules of {chain}")))?,
        };
        // Kernels before 4.17 answer with every rule of the table.
        Ok(answers.iter().filter_map(|answer| parse_rule(&answer.body, chain)).collect())
    }

    /// The elements of a set or map.
    pub fn elements(&mut self, table: Table<'_>, set: &str) -> Result<Vec<ListedElement>> {
        let mut request = message(table.family, nft::GET_ELEMENT, 0);
        request.put_str(1, table.name).put_str(2, set);
        let answers = self.dump(request).map_err(|e| e.doing(format!("list elements of {set}")))?;
        Ok(answers
            .iter()
            .filter_map(|answer| wire::attribute(answer.body.get(HEADER..)?, 3))
            .flat_map(|list| wire::attributes(list).filter_map(|(_, element)| parse_element(element)))
            .collect())
    }
}

fn parse_chain(body: &[u8]) -> Option<ListedChain> {
    let attributes = body.get(HEADER..)?;
    let get = |kind| wire::attribute(attributes, kind);
    Some(ListedChain {
        family: Family::from_number(body[0])?,
        table: wire::text(get(1)?),
        name: wire::text(get(3)?),
        hook: get(4).and_then(|hook| {
            let number = |kind| wire::attribute(hook, kind).and_then(|v| wire::be32_at(v, 0));
            Some((number(1)?, number(2)? as i32))
        }),
        drops: get(5).and_then(|v| wire::be32_at(v, 0)) == Some(0),
    })
}

pub(crate) fn parse_rule(body: &[u8], chain: &str) -> Option<ListedRule> {
    let attributes = body.get(HEADER..)?;
    let get = |kind| wire::attribute(attributes, kind);
    if wire::text(get(2)?) != chain {
        return None;
    }
    let handle = get(3)?;
    Some(ListedRule {
        handle: u64::from_be_bytes(handle.try_into().ok()?),
        expressions: get(4).unwrap_or(&[]).to_vec(),
        userdata: get(7).unwrap_or(&[]).to_vec(),
    })
}

fn parse_element(bytes: &[u8]) -> Option<ListedElement> {
    let value =
        |kind| wire::attribute(bytes, kind).and_then(|nest| wire::attribute(nest, 1)).map(<[u8]>::to_vec);
    Some(ListedElement { key: value(1)?, end: value(10), data: value(2) })
}

impl Socket {
    /// Names of the sets and maps of a table, nameless ones left out.
    pub fn sets(&mut self, table: Table<'_>) -> Result<Vec<String>> {
        let mut request = message(table.family, nft::GET_SET, 0);
        request.put_str(1, table.name);
        let answers = match self.dump(request) {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            other => other.map_err(|e| e.doing(format!("list sets of {}", table.name)))?,
        };
        Ok(answers
            .iter()
            .filter_map(|answer| wire::attribute(answer.body.get(HEADER..)?, 2))
            .map(wire::text)
            .filter(|name| !name.starts_with("__"))
            .collect())
    }
}
