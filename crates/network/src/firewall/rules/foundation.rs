//! The base chains, and the sets and maps that they ask: the same on every host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gantry_netlink::nft::rule::{ESTABLISHED_OR_RELATED, Field, STATUS_DNAT, STATUS_SNAT};
use gantry_netlink::nft::set::Gives;
use gantry_netlink::nft::{Batch, ChainKind, Hook, HookPoint, KeyType, Rule, Set};

use super::{BRIDGE_TABLE, SHIFT4, SHIFT6, TABLE, USER_CHAIN, link_fields};

const LOOPBACK: (IpAddr, u8) = (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8);
const LOOPBACK6: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::LOCALHOST), 128);
/// Kernel priorities (`linux/netfilter_ipv4.h`).
const MANGLE: i32 = -150;
const DSTNAT: i32 = -100;
const FILTER: i32 = 0;
const SRCNAT: i32 = 100;

/// The rules and maps that do not depend on any network. Nothing of them may be there yet.
pub fn write(batch: &mut Batch) {
    use KeyType::{InetProtocol, InetService, InterfaceName, Ipv4Address, Ipv6Address};
    set(batch, "bridges", &[InterfaceName], Gives::Membership, false);
    for name in ["hairpin", "into", "from"] {
        set(batch, name, &[InterfaceName], Gives::Verdict, false);
    }
    for (address, guard, leave) in [(Ipv4Address, "guard4", "leave4"), (Ipv6Address, "guard6", "leave6")] {
        set(batch, guard, &[address], Gives::Verdict, true);
        set(batch, leave, &[address], Gives::Verdict, true);
    }
    for (address, [port, any, range, open, link], shift) in [
        (Ipv4Address, ["port4", "port4_any", "range4", "open4", "link4"], SHIFT4),
        (Ipv6Address, ["port6", "port6_any", "range6", "open6", "link6"], SHIFT6),
    ] {
        set(batch, port, &[InetProtocol, address, InetService], Gives::Value(&[address, InetService]), false);
        set(batch, any, &[InetProtocol, InetService], Gives::Value(&[address, InetService]), false);
        set(batch, range, &[InetProtocol, address, InetService], Gives::Value(&[address]), true);
        for (map, gives) in shift.into_iter().zip([address, InetService, InetService]) {
            set(batch, map, &[InetProtocol, address, InetService], Gives::Value(&[gives]), true);
        }
        set(batch, open, &[InetProtocol, address, InetService], Gives::Membership, true);
        set(batch, link, &[InetProtocol, address, address, InetService], Gives::Membership, false);
    }

    let base = |kind, point, priority| Some(Hook { kind, point, priority, drop: false });
    batch.add_chain(TABLE, "guard", base(ChainKind::Filter, HookPoint::Prerouting, MANGLE));
    batch.add_chain(TABLE, "prerouting", base(ChainKind::Nat, HookPoint::Prerouting, DSTNAT));
    batch.add_chain(TABLE, "output", base(ChainKind::Nat, HookPoint::Output, DSTNAT));
    batch.add_chain(TABLE, "postrouting", base(ChainKind::Nat, HookPoint::Postrouting, SRCNAT));
    batch.add_chain(TABLE, "forward", base(ChainKind::Filter, HookPoint::Forward, FILTER));
    batch.add_chain(TABLE, "publish", None);

    let mut rule = |chain, rule: Rule| batch.add_rule(TABLE, chain, &rule);
    // A container never speaks as, or to, the host's loopback: route_localnet is on for its bridge. (The address is asked
    // first: comparing is cheaper than looking up, and nearly every packet ends there.)
    let from_ours = |rule: Rule| rule.in_set(&[Field::InputName], "bridges").drop();
    rule("guard", from_ours(Rule::new().source(LOOPBACK.0, LOOPBACK.1)));
    rule("guard", from_ours(Rule::new().destination(LOOPBACK.0, LOOPBACK.1)));
    // Nobody reaches a container by its own address from outside. What claims to belong to a connection is believed here
    // and asked for its translation in `forward`.
    rule("guard", Rule::new().state(ESTABLISHED_OR_RELATED).accept());
    rule("guard", Rule::new().family(false).verdict_map(&[Field::Destination4], "guard4"));
    rule("guard", Rule::new().family(true).verdict_map(&[Field::Destination6], "guard6"));
    // A packet for 127.0.0.1 that comes from outside stays one: the kernel then drops it as a martian.
    rule("prerouting", Rule::new().destination(LOOPBACK.0, LOOPBACK.1).leave());
    rule("prerouting", Rule::new().destination(LOOPBACK6.0, LOOPBACK6.1).leave());
    rule("prerouting", Rule::new().to_local().jump("publish"));
    // The kernel lets no packet from ::1 leave the machine's own loopback, whatever NAT says; without a translation it
    // is refused at once, and programs go on to 127.0.0.1.
    rule("output", Rule::new().destination(LOOPBACK6.0, LOOPBACK6.1).leave());
    rule("output", Rule::new().to_local().jump("publish"));
    for (ipv6, destination, [exact, any, range], shift) in [
        (false, Field::Destination4, ["port4", "port4_any", "range4"], SHIFT4),
        (true, Field::Destination6, ["port6", "port6_any", "range6"], SHIFT6),
    ] {
        let full = [Field::Transport, destination, Field::DestinationPort];
        let short = [Field::Transport, Field::DestinationPort];
        rule("publish", Rule::new().family(ipv6).dnat_map(&full, exact, ipv6, true));
        rule("publish", Rule::new().family(ipv6).dnat_map(&short, any, ipv6, true));
        rule("publish", Rule::new().family(ipv6).dnat_map(&full, range, ipv6, false));
        rule("publish", Rule::new().family(ipv6).dnat_shifted(&full, shift, ipv6));
    }
    // What the host sent to its own loopback goes on with the bridge's address, or no answer would find back.
    let to_ours = || Rule::new().in_set(&[Field::OutputName], "bridges");
    rule("postrouting", to_ours().source(LOOPBACK.0, LOOPBACK.1).masquerade());
    rule("postrouting", Rule::new().verdict_map(&[Field::OutputName], "hairpin"));
    rule("postrouting", Rule::new().family(false).verdict_map(&[Field::Source4], "leave4"));
    rule("postrouting", Rule::new().family(true).verdict_map(&[Field::Source6], "leave6"));
    rule("forward", Rule::new().jump(USER_CHAIN).comment("the host's own rules"));
    // Nearly every packet ends here. A connection between a guarded network and the outside is always translated one way
    // or the other; who only guessed the addresses of one inside the network comes no further than `into`.
    let connected = Rule::new().state(ESTABLISHED_OR_RELATED);
    rule("forward", connected.status(STATUS_SNAT | STATUS_DNAT).accept());
    rule("forward", Rule::new().verdict_map(&[Field::InputName], "from"));
    rule("forward", Rule::new().verdict_map(&[Field::OutputName], "into"));
}

fn set(batch: &mut Batch, name: &str, key: &[KeyType], gives: Gives<'_>, interval: bool) {
    batch.add_set(TABLE, &Set { name, key, gives, interval });
}

/// The table for frames between containers of networks without `icc`. `quiet` holds their interfaces on the host.
pub fn write_frames(batch: &mut Batch) {
    use KeyType::{InetProtocol, InetService, InterfaceName, Ipv4Address};
    const IPV4: u16 = 0x0800;
    const ARP: u16 = 0x0806;
    batch.delete_table(BRIDGE_TABLE);
    batch.add_table(BRIDGE_TABLE);
    let quiet = Set { name: "quiet", key: &[InterfaceName], gives: Gives::Membership, interval: false };
    let link = Set {
        name: "link4",
        key: &[InetProtocol, Ipv4Address, Ipv4Address, InetService],
        gives: Gives::Membership,
        interval: false,
    };
    batch.add_set(BRIDGE_TABLE, &quiet);
    batch.add_set(BRIDGE_TABLE, &link);
    let hook = Hook { kind: ChainKind::Filter, point: HookPoint::Forward, priority: FILTER, drop: false };
    batch.add_chain(BRIDGE_TABLE, "forward", Some(hook));
    let mut rule = |rule: Rule| batch.add_rule(BRIDGE_TABLE, "forward", &rule);
    rule(Rule::new().not_in_set(&[Field::OutputName], "quiet").accept());
    rule(Rule::new().not_in_set(&[Field::InputName], "quiet").accept());
    rule(Rule::new().ether_type(ARP).accept());
    let [to, back] = link_fields(false);
    rule(Rule::new().ether_type(IPV4).in_set(&to, "link4").accept());
    rule(Rule::new().ether_type(IPV4).in_set(&back, "link4").accept());
    rule(Rule::new().drop());
}
