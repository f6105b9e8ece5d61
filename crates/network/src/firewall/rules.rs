//! The rules, as they are drawn in `docs/networking.md`. Pure: facts in, a transaction out.
//!
//! What is constant are the base chains ([`foundation`]); what a network adds is a few chains of its own ([`network`]),
//! reached by verdict maps over its interface name and its subnets, so a packet passes the same handful of rules whether
//! there is one network or a hundred. What an endpoint adds is elements of maps, never rules ([`endpoint`]).

use gantry_netlink::nft::rule::Field;
use gantry_netlink::nft::{Family, Table};

use super::Facts;

pub mod endpoint;
pub mod foundation;
pub mod network;

/// The one table.
pub const TABLE: Table<'static> = Table { family: Family::Inet, name: "gantry" };
/// Its sister for frames between containers of a network without `icc`: those pass no other hook.
pub const BRIDGE_TABLE: Table<'static> = Table { family: Family::Bridge, name: "gantry" };
/// The chain for the host's own rules; never written by us.
pub const USER_CHAIN: &str = "GANTRY-USER";

/// The base chains and the ones they share.
pub const FIXED_CHAINS: [&str; 6] = ["guard", "prerouting", "output", "publish", "postrouting", "forward"];
/// How the names of the chains of one network begin.
pub const NETWORK_CHAINS: [&str; 5] = ["guard-", "hairpin-", "leave-", "into-", "from-"];

/// The sets and maps.
pub const SETS: [&str; 25] = [
    "bridges",
    "guard4",
    "guard6",
    "hairpin",
    "leave4",
    "leave6",
    "into",
    "from",
    "port4",
    "port4_any",
    "range4",
    "shift4",
    "shift4_first",
    "shift4_last",
    "port6",
    "port6_any",
    "range6",
    "shift6",
    "shift6_first",
    "shift6_last",
    "open4",
    "open6",
    "link4",
    "link6",
    "quiet",
];

/// The maps of shifted runs: address, first and last port of the kernel's range.
const SHIFT4: [&str; 3] = ["shift4", "shift4_first", "shift4_last"];
const SHIFT6: [&str; 3] = ["shift6", "shift6_first", "shift6_last"];

/// A linked packet on its way there, and its answer.
fn link_fields(ipv6: bool) -> [[Field; 4]; 2] {
    let (source, destination) =
        if ipv6 { (Field::Source6, Field::Destination6) } else { (Field::Source4, Field::Destination4) };
    [
        [Field::Transport, source, destination, Field::DestinationPort],
        [Field::Transport, destination, source, Field::SourcePort],
    ]
}

fn family_name(ipv4: &'static str, ipv6: &'static str, is_ipv6: bool) -> &'static str {
    if is_ipv6 { ipv6 } else { ipv4 }
}

/// Whether any network needs the bridge table.
pub fn needs_bridge_table(facts: &Facts) -> bool {
    facts.bridges.iter().any(|bridge| !bridge.options.icc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_that_draws_the_rules_names_every_chain_and_set() {
        let page = include_str!("../../../../docs/networking.md");
        let families = SETS.iter().map(|set| set.replace('6', "4"));
        let names = FIXED_CHAINS.iter().chain(&NETWORK_CHAINS).map(|name| (*name).to_owned()).chain(families);
        for name in names.chain([USER_CHAIN.to_owned()]) {
            assert!(page.contains(&name), "docs/networking.md does not mention {name}");
        }
    }
}
