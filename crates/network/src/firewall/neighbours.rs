//! Living beside other firewalls.
//!
//! An `accept` in our table cannot undo a `drop` in another: every base chain of a hook is asked. Docker and ufw set the
//! policy of `filter FORWARD` to drop, so our bridges are let through at its head, marked by a comment; our own chains
//! have decided about those packets already, or are about to. Where another program owns a whole table (firewalld), its
//! administrator has to put our bridges into a trusted zone, and is told so.

use std::collections::BTreeSet;

use gantry_netlink::nft::{Batch, Family, Rule, Table, event::Event};
use gantry_netlink::{Result, Socket};

const CHAIN: &str = "FORWARD";
/// `NF_INET_FORWARD`.
const HOOK_FORWARD: u32 = 2;

/// Tables that iptables (in its nftables form) keeps.
fn tables() -> [Table<'static>; 2] {
    [Table { family: Family::Ip, name: "filter" }, Table { family: Family::Ip6, name: "filter" }]
}

fn mark(bridge: &str) -> String {
    format!("gantry: {bridge}")
}

/// Whether a change may have taken our opening away.
pub fn concerns(event: &Event) -> bool {
    event.table == "filter" && event.chain.as_deref() == Some(CHAIN)
}

/// Lets the bridges through where forwarding is dropped by policy. Failures are told and harm nobody else.
pub fn open(socket: &mut Socket, bridges: &BTreeSet<&str>) {
    if let Err(error) = try_open(socket, bridges) {
        tracing::warn!(%error, "cannot let our bridges through the host's FORWARD chain");
    }
}

fn try_open(socket: &mut Socket, bridges: &BTreeSet<&str>) -> Result<()> {
    let droppers: Vec<_> = socket
        .chains()?
        .into_iter()
        .filter(|chain| chain.drops && chain.hook.is_some_and(|(point, _)| point == HOOK_FORWARD))
        .collect();
    for chain in &droppers {
        let known =
            tables().into_iter().find(|table| table.family == chain.family && table.name == chain.table);
        let Some(table) = known.filter(|_| chain.name == CHAIN) else {
            tracing::warn!(
                family = chain.family.as_str(),
                table = chain.table,
                chain = chain.name,
                "this chain drops forwarded packets by policy; let our bridges through there (firewalld: put them into the zone trusted)"
            );
            continue;
        };
        let there: BTreeSet<String> =
            socket.rules(table, CHAIN)?.iter().filter_map(|rule| rule.comment()).collect();
        let mut batch = Batch::new();
        for bridge in bridges.iter().filter(|bridge| !there.contains(&mark(bridge))) {
            let comment = mark(bridge);
            batch.insert_rule(table, CHAIN, &Rule::new().input(bridge).counter().accept().comment(&comment));
            batch.insert_rule(table, CHAIN, &Rule::new().output(bridge).counter().accept().comment(&comment));
        }
        socket.commit(batch)?;
    }
    Ok(())
}

/// Takes the openings of a bridge away.
pub fn close(socket: &mut Socket, bridge: &str) {
    for table in tables() {
        if let Err(error) = try_close(socket, table, bridge)
            && !error.is_missing()
        {
            tracing::warn!(%error, bridge, "cannot take our opening out of the host's FORWARD chain");
        }
    }
}

fn try_close(socket: &mut Socket, table: Table<'_>, bridge: &str) -> Result<()> {
    let comment = mark(bridge);
    let mut batch = Batch::new();
    for rule in socket.rules(table, CHAIN)?.iter().filter(|rule| rule.comment().as_deref() == Some(&comment))
    {
        batch.delete_rule(table, CHAIN, rule.handle);
    }
    socket.commit(batch)
}
