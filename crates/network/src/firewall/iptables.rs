//! `--firewall-backend=iptables`: the book's chains, so that `iptables -t nat -nL` looks as it does there.
//!
//! The only place that runs programs (`iptables`, `ip6tables`), and only on request. Chain names are Docker's: `DOCKER`
//! in nat and filter, `DOCKER-ISOLATION-STAGE-1` and `-2`, `DOCKER-USER`. One `iptables-restore --noflush` a change.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_netlink::nft::Family;
use gantry_netlink::nft::event::Event;

use super::{BridgeFacts, EndpointFacts, Facts, Writer, nftables};
use crate::failure::Error;

/// So many of our last programs are remembered: more than a burst of changes runs.
const REMEMBERED: usize = 4096;

/// Runs the programs.
#[derive(Debug, Default)]
pub struct Iptables {
    /// Process numbers of our last `iptables-restore`s. The kernel gives a process's first netlink socket its number, so
    /// a change that comes from one of these is our own.
    own: Mutex<VecDeque<u32>>,
}

impl Iptables {
    /// The writer; programs are looked for when they are needed. The private table of the other writer goes.
    pub fn open() -> Result<Arc<Iptables>, Error> {
        nftables::leave()?;
        Ok(Arc::new(Iptables::default()))
    }

    /// Whether a change was somebody else's and may have damaged our rules. Only programs that write to nftables are
    /// heard, which is every `iptables` but the one called legacy.
    pub fn note(&self, event: &Event) -> bool {
        let ours = matches!(event.family, Some(Family::Ip | Family::Ip6))
            && TABLES.contains(&event.table.as_str())
            && event.removal;
        ours && !self.lock().contains(&event.port)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<u32>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restore(&self, ipv6: bool, script: &str) -> Result<(), Error> {
        restore(ipv6, script, |process| {
            let mut own = self.lock();
            own.push_back(process);
            if own.len() > REMEMBERED {
                own.pop_front();
            }
        })
    }
}

const TABLES: [&str; 3] = ["raw", "nat", "filter"];

const FAMILIES: [bool; 2] = [false, true];

fn program(ipv6: bool) -> &'static str {
    if ipv6 { "ip6tables" } else { "iptables" }
}

fn restore(ipv6: bool, script: &str, started: impl FnOnce(u32)) -> Result<(), Error> {
    let program = format!("{}-restore", program(ipv6));
    let failed = |why: String| Error::Iptables(format!("{program} failed: {why}"));
    let mut child = Command::new(&program)
        .args(["--wait", "--noflush"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // It reads first and changes then: nothing has been heard of it yet.
    started(child.id());
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes()).map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// Whether a rule is there.
fn check(ipv6: bool, table: &str, rule: &str) -> bool {
    let mut arguments = vec!["--wait", "-t", table, "-C"];
    arguments.extend(rule.split_whitespace());
    let run =
        Command::new(program(ipv6)).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// Chains that are ours alone: all in them is written anew when everything is.
const OWN: [(&str, &str); 4] = [
    ("nat", "DOCKER"),
    ("filter", "DOCKER"),
    ("filter", "DOCKER-ISOLATION-STAGE-1"),
    ("filter", "DOCKER-ISOLATION-STAGE-2"),
];

/// The host's own.
const USER: &str = "DOCKER-USER";

/// The jumps into the chains.
fn jumps(ipv6: bool) -> Vec<Line> {
    let loopback = if ipv6 { "::1/128" } else { "127.0.0.0/8" };
    vec![
        // To 127.0.0.1 only the host itself comes: there is no proxy, so its own packets are translated too.
        ("nat", format!("PREROUTING ! -d {loopback} -m addrtype --dst-type LOCAL -j DOCKER"), false),
        ("nat", "OUTPUT -m addrtype --dst-type LOCAL -j DOCKER".to_owned(), false),
        ("filter", "FORWARD -j DOCKER-ISOLATION-STAGE-1".to_owned(), true),
        ("filter", "FORWARD -j DOCKER-USER".to_owned(), true),
    ]
}

/// Everything of a family: the chains emptied and filled, and what belongs into the host's own chains where it is not there
/// yet. A table changes in one step, so that no packet meets it half written.
fn whole(ipv6: bool, facts: &Facts) -> String {
    let mut rules = jumps(ipv6);
    rules.extend(facts.bridges.iter().flat_map(|bridge| bridge_rules(bridge, ipv6)));
    rules.extend(facts.endpoints.iter().flat_map(|endpoint| endpoint_rules(endpoint, ipv6)));
    let mut script = String::new();
    for table in TABLES {
        let _ = writeln!(script, "*{table}");
        for (_, chain) in OWN.iter().filter(|(of, _)| *of == table) {
            let _ = writeln!(script, ":{chain} - [0:0]");
        }
        if table == "filter" && !chain_exists(ipv6, USER) {
            let _ = writeln!(script, ":{USER} - [0:0]");
        }
        for (_, rule, front) in once(&rules).filter(|(of, ..)| *of == table) {
            let chain = rule.split_once(' ').map_or(rule.as_str(), |(chain, _)| chain);
            if OWN.contains(&(table, chain)) || !check(ipv6, table, rule) {
                let _ = writeln!(script, "{} {rule}", if *front { "-I" } else { "-A" });
            }
        }
        script.push_str("COMMIT\n");
    }
    script
}

fn chain_exists(ipv6: bool, chain: &str) -> bool {
    let run = Command::new(program(ipv6))
        .args(["--wait", "-n", "-L", chain])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

/// Rules of a network: table, chain with verb placeholder, and the rest.
fn bridge_rules(bridge: &BridgeFacts, ipv6: bool) -> Vec<Line> {
    let name = &bridge.bridge;
    let loopback = if ipv6 { "::1/128" } else { "127.0.0.0/8" };
    let mut rules = Vec::new();
    for subnet in bridge.subnets(ipv6).filter(|_| !bridge.internal) {
        if bridge.options.masquerade {
            rules.push(("nat", format!("POSTROUTING -s {subnet} ! -o {name} -j MASQUERADE"), false));
        }
        rules.push((
            "nat",
            format!("POSTROUTING -s {subnet} -o {name} -m conntrack --ctstate DNAT -j MASQUERADE"),
            false,
        ));
        rules.push(("nat", format!("POSTROUTING -s {loopback} -o {name} -j MASQUERADE"), false));
        // Nobody from outside speaks to a container's own address, unless answers come to it.
        if bridge.options.masquerade {
            rules.push((
                "raw",
                format!("PREROUTING -d {subnet} ! -i {name} -m addrtype ! --dst-type LOCAL -j DROP"),
                false,
            ));
        }
    }
    rules.push(("raw", format!("PREROUTING -i {name} -d {loopback} -j DROP"), false));
    rules.push(("raw", format!("PREROUTING -i {name} -s {loopback} -j DROP"), false));
    rules.push((
        "filter",
        format!("DOCKER-ISOLATION-STAGE-1 -i {name} ! -o {name} -j DOCKER-ISOLATION-STAGE-2"),
        false,
    ));
    rules.push((
        "filter",
        format!("DOCKER-ISOLATION-STAGE-2 -o {name} -m conntrack ! --ctstate DNAT -j DROP"),
        false,
    ));
    let icc = if bridge.options.icc { "ACCEPT" } else { "DROP" };
    if bridge.internal {
        rules.push(("filter", format!("FORWARD -o {name} ! -i {name} -j DROP"), false));
        rules.push(("filter", format!("FORWARD -i {name} ! -o {name} -j DROP"), false));
    } else {
        rules.push((
            "filter",
            format!("FORWARD -o {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
            false,
        ));
        rules.push(("filter", format!("FORWARD -o {name} -j DOCKER"), false));
        rules.push(("filter", format!("FORWARD -i {name} ! -o {name} -j ACCEPT"), false));
    }
    rules.push(("filter", format!("FORWARD -i {name} -o {name} -j {icc}"), false));
    if !bridge.internal {
        rules.push(("filter", format!("FORWARD ! -i {name} -o {name} -j DROP"), false));
    }
    rules
}

/// Rules of an endpoint; the last part says whether it goes in front.
fn endpoint_rules(endpoint: &EndpointFacts, ipv6: bool) -> Vec<Line> {
    let bridge = &endpoint.bridge.bridge;
    let mut rules = Vec::new();
    let Some(own) = endpoint.address(ipv6) else { return rules };
    let bracketed = if ipv6 { format!("[{own}]") } else { own.to_string() };
    for port in endpoint.ports.iter().filter(|port| port.host_ip.is_ipv6() == ipv6) {
        let protocol = port.protocol;
        let run = |first: u16, between: char| match port.count {
            1 => first.to_string(),
            count => format!("{first}{between}{}", first + (count - 1)),
        };
        let host =
            if port.host_ip.is_unspecified() { String::new() } else { format!("-d {} ", port.host_ip) };
        // A shifted run is one rule here: the program's own `first-last/base` form.
        let target = match (port.count, port.keeps_numbers()) {
            (1, _) => format!("{bracketed}:{}", port.container_port),
            (_, true) => bracketed.clone(),
            (_, false) => format!("{bracketed}:{}/{}", run(port.container_port, '-'), port.host_port),
        };
        let host_ports = run(port.host_port, ':');
        rules.push((
            "nat",
            format!("DOCKER {host}-p {protocol} --dport {host_ports} -j DNAT --to-destination {target}"),
            false,
        ));
        let container_ports = run(port.container_port, ':');
        rules.push((
            "filter",
            format!(
                "DOCKER -d {own} ! -i {bridge} -o {bridge} -p {protocol} --dport {container_ports} -j ACCEPT"
            ),
            false,
        ));
        if port.count == 1 {
            // The book's own line, for a container that calls its own published port.
            rules.push((
                "nat",
                format!(
                    "POSTROUTING -s {own} -d {own} -p {protocol} --dport {container_ports} -j MASQUERADE"
                ),
                false,
            ));
        }
    }
    if !endpoint.bridge.options.icc {
        for (target, port) in endpoint.links.iter().filter(|(target, _)| target.is_ipv6() == ipv6) {
            let (protocol, number) = (port.protocol, port.number);
            rules.push(("filter", format!("FORWARD -i {bridge} -o {bridge} -s {own} -d {target} -p {protocol} --dport {number} -j ACCEPT"), true));
            rules.push(("filter", format!("FORWARD -i {bridge} -o {bridge} -s {target} -d {own} -p {protocol} --sport {number} -j ACCEPT"), true));
        }
    }
    rules
}

/// A rule: its table, its text, and whether it goes in front.
type Line = (&'static str, String, bool);

/// Each once: a port that is published on two addresses is let through by one rule.
fn once(rules: &[Line]) -> impl Iterator<Item = &Line> {
    let mut seen = BTreeSet::new();
    rules.iter().filter(move |(table, rule, _)| seen.insert((*table, rule.as_str())))
}

/// What deletes those of the first that are there and adds those of the second that are not: one step in each table.
fn script(ipv6: bool, old: &[Line], new: &[Line]) -> String {
    let mut script = String::new();
    for table in TABLES {
        let mut lines = String::new();
        for (_, rule, _) in once(old).filter(|(of, rule, _)| *of == table && check(ipv6, table, rule)) {
            let _ = writeln!(lines, "-D {rule}");
        }
        for (_, rule, front) in once(new).filter(|(of, rule, _)| *of == table && !check(ipv6, table, rule)) {
            let _ = writeln!(lines, "{} {rule}", if *front { "-I" } else { "-A" });
        }
        if !lines.is_empty() {
            let _ = write!(script, "*{table}\n{lines}COMMIT\n");
        }
    }
    script
}

impl Iptables {
    fn apply(&self, ipv6: bool, old: &[Line], new: &[Line]) -> Result<(), Error> {
        let script = script(ipv6, old, new);
        if script.is_empty() { Ok(()) } else { self.restore(ipv6, &script) }
    }
}

/// Families in use: IPv6 only where a network has it.
fn families(pools: &BridgeFacts) -> impl Iterator<Item = bool> + '_ {
    FAMILIES.into_iter().filter(|ipv6| !ipv6 || pools.subnets(true).next().is_some())
}

impl Writer for Iptables {
    fn assert(&self, facts: &Facts) -> Result<(), Error> {
        let ipv6 = facts.bridges.iter().any(|bridge| bridge.subnets(true).next().is_some());
        FAMILIES
            .into_iter()
            .filter(|family| !family || ipv6)
            .try_for_each(|family| self.restore(family, &whole(family, facts)))
    }

    fn add_bridge(&self, bridge: &BridgeFacts) -> Result<(), Error> {
        for ipv6 in families(bridge) {
            if !chain_exists(ipv6, "DOCKER-ISOLATION-STAGE-2") {
                self.restore(ipv6, &whole(ipv6, &Facts::default()))?;
            }
            self.apply(ipv6, &[], &bridge_rules(bridge, ipv6))?;
        }
        Ok(())
    }

    fn remove_bridge(&self, bridge: &BridgeFacts) -> Result<(), Error> {
        families(bridge).try_for_each(|ipv6| self.apply(ipv6, &bridge_rules(bridge, ipv6), &[]))
    }

    fn add_endpoint(&self, endpoint: &EndpointFacts) -> Result<(), Error> {
        FAMILIES.into_iter().try_for_each(|ipv6| self.apply(ipv6, &[], &endpoint_rules(endpoint, ipv6)))
    }

    fn remove_endpoint(&self, endpoint: &EndpointFacts) -> Result<(), Error> {
        FAMILIES.into_iter().try_for_each(|ipv6| self.apply(ipv6, &endpoint_rules(endpoint, ipv6), &[]))
    }

    fn change_endpoints(&self, before: &[EndpointFacts], after: &[EndpointFacts]) -> Result<(), Error> {
        for ipv6 in FAMILIES {
            let rules = |all: &[EndpointFacts]| -> Vec<Line> {
                all.iter().flat_map(|endpoint| endpoint_rules(endpoint, ipv6)).collect()
            };
            let (mut old, mut new) = (rules(before), rules(after));
            let stays: Vec<Line> = old.iter().filter(|rule| new.contains(rule)).cloned().collect();
            old.retain(|rule| !stays.contains(rule));
            new.retain(|rule| !stays.contains(rule));
            self.apply(ipv6, &old, &new)?;
        }
        Ok(())
    }

    fn withdraw(&self, facts: &Facts) -> Result<(), Error> {
        for endpoint in &facts.endpoints {
            self.remove_endpoint(endpoint)?;
        }
        facts.bridges.iter().try_for_each(|bridge| self.remove_bridge(bridge))
    }
}
