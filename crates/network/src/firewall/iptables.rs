//! `--firewall-backend=iptables`: the book's chains, so that `iptables -t nat -nL` looks as it does there.
//!
//! The only place that runs programs (`iptables`, `ip6tables`), and only on request. Chain names are Docker's: `DOCKER`
//! in nat and filter, `DOCKER-ISOLATION-STAGE-1` and `-2`, `DOCKER-USER`; where Docker itself has them, before us or one day
//! later, ours are called `GANTRY` ([`lines`]). One `iptables-restore --noflush` a change.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_netlink::nft::Family;
use gantry_netlink::nft::event::Event;

use self::lines::{Line, Names, USER, all, bridge_rules, endpoint_rules, left_behind, once};
use super::{BridgeFacts, EndpointFacts, Facts, Writer, nftables};
use crate::failure::Error;

mod lines;

/// So many of our last programs are remembered: more than a burst of changes runs.
const REMEMBERED: usize = 4096;

/// Runs the programs.
#[derive(Debug, Default)]
pub struct Iptables {
    /// Process numbers of our last `iptables-restore`s. The kernel gives a process's first netlink socket its number, so
    /// a change that comes from one of these is our own.
    own: Mutex<VecDeque<u32>>,
    /// What our chains are called, once they stand.
    names: Mutex<Option<Names>>,
    /// Somebody took rules away since we last wrote all of them.
    damaged: AtomicBool,
    /// Somebody wrote into the book's chains since then: it may be Docker, moving in.
    visited: AtomicBool,
}

/// What our chains are called, and whether nobody else can be writing into them.
struct Settled {
    names: Names,
    alone: bool,
}

impl Iptables {
    /// The writer; programs are looked for when they are needed. The private table of the other writer goes.
    pub fn open() -> Result<Arc<Iptables>, Error> {
        nftables::leave()?;
        Ok(Arc::new(Iptables::default()))
    }

    /// Whether a change was somebody else's and may have damaged our rules, or be Docker's beginning. Only programs that
    /// write to nftables are heard, which is every `iptables` but the one called legacy.
    pub fn note(&self, event: &Event) -> bool {
        let theirs = matches!(event.family, Some(Family::Ip | Family::Ip6))
            && TABLES.contains(&event.table.as_str())
            && !lock(&self.own).contains(&event.port);
        let visit = |chain: &str| self.names() == Names::Book && chain.starts_with("DOCKER");
        if theirs && event.removal {
            self.damaged.store(true, Ordering::Relaxed);
        } else if theirs && event.chain.as_deref().is_some_and(visit) {
            self.visited.store(true, Ordering::Relaxed);
        } else {
            return false;
        }
        true
    }

    fn names(&self) -> Names {
        lock(&self.names).unwrap_or(Names::Book)
    }

    /// Looks whose the book's chains are. Where they have become Docker's, what we left in them goes.
    fn settle_names(&self, facts: &Facts) -> Result<Settled, Error> {
        let names = Names::beside(&saved());
        let before = lock(&self.names).replace(names);
        if names == Names::Own && before != Some(Names::Own) {
            tracing::warn!("the chains DOCKER are Docker's own engine's: ours are called GANTRY here");
            for ipv6 in
                FAMILIES.into_iter().filter(|ipv6| check(*ipv6, "nat", &Names::Book.fingerprint(*ipv6)))
            {
                self.apply(ipv6, &left_behind(ipv6, facts), &[])?;
            }
        }
        // Later, Docker may be at work in chains of the book's names at this very moment.
        Ok(Settled { names, alone: names == Names::Own || before.is_none() })
    }

    fn restore(&self, ipv6: bool, script: &str) -> Result<(), Error> {
        restore(ipv6, script, |process| {
            let mut own = lock(&self.own);
            own.push_back(process);
            if own.len() > REMEMBERED {
                own.pop_front();
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Everything of a family: the chains with what belongs into them, and what belongs into the host's own chains, where it is
/// not there yet; with `emptied` nothing else is in ours. A table changes in one step, so that no packet meets it half written.
fn whole(names: Names, ipv6: bool, facts: &Facts, emptied: bool) -> String {
    let rules = all(names, ipv6, facts);
    let chains = names.chains();
    let mut script = String::new();
    for table in TABLES {
        let _ = writeln!(script, "*{table}");
        let user = [("filter", USER)];
        let missing = |of: &str, chain: &str| emptied && chain != USER || !chain_exists(ipv6, of, chain);
        for (_, chain) in chains.iter().chain(&user).filter(|(of, chain)| *of == table && missing(of, chain))
        {
            let _ = writeln!(script, ":{chain} - [0:0]");
        }
        let of_table = || once(&rules).filter(|(of, ..)| *of == table);
        let (ours, hosts): (Vec<_>, Vec<_>) =
            of_table().partition(|(_, rule, _)| chains.contains(&(table, chain_of(rule))));
        ours.into_iter()
            .filter(|line| emptied || !is_there(ipv6, line))
            .for_each(|line| put(&mut script, line));
        let (ordered, others): (Vec<_>, Vec<_>) =
            hosts.into_iter().partition(|(_, rule, front)| chain_of(rule) == "FORWARD" && !front);
        others.into_iter().filter(|line| !is_there(ipv6, line)).for_each(|line| put(&mut script, line));
        // The last of these drops: where one is missing, all are written again in their order.
        let there: Vec<_> = ordered.iter().filter(|line| is_there(ipv6, line)).collect();
        if there.len() < ordered.len() {
            for (_, rule, _) in there {
                let _ = writeln!(script, "-D {rule}");
            }
            ordered.into_iter().for_each(|line| put(&mut script, line));
        }
        script.push_str("COMMIT\n");
    }
    script
}

fn chain_of(rule: &str) -> &str {
    rule.split_once(' ').map_or(rule, |(chain, _)| chain)
}

fn is_there(ipv6: bool, (table, rule, _): &Line) -> bool {
    check(ipv6, table, rule)
}

fn put(script: &mut String, (_, rule, front): &Line) {
    let _ = writeln!(script, "{} {rule}", if *front { "-I" } else { "-A" });
}

/// What stands, of both families; nothing where the program is not there.
fn saved() -> String {
    let save = |ipv6| Command::new(format!("{}-save", program(ipv6))).stderr(Stdio::null()).output();
    let texts = FAMILIES.map(|ipv6| save(ipv6).map_or_else(|_| Vec::new(), |output| output.stdout));
    String::from_utf8_lossy(&texts.concat()).into_owned()
}

fn chain_exists(ipv6: bool, table: &str, chain: &str) -> bool {
    let run = Command::new(program(ipv6))
        .args(["--wait", "-t", table, "-n", "-L", chain])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

/// What deletes those of the first that are there and adds those of the second that are not: one step in each table.
fn script(ipv6: bool, old: &[Line], new: &[Line]) -> String {
    let mut script = String::new();
    for table in TABLES {
        let mut lines = String::new();
        for (_, rule, _) in once(old).filter(|line| line.0 == table && is_there(ipv6, line)) {
            let _ = writeln!(lines, "-D {rule}");
        }
        for line in once(new).filter(|line| line.0 == table && !is_there(ipv6, line)) {
            put(&mut lines, line);
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
        let visited = self.visited.swap(false, Ordering::Relaxed);
        let damaged = self.damaged.swap(false, Ordering::Relaxed);
        let Settled { names, alone } = self.settle_names(facts)?;
        // What a person adds to the book's chains stays until they are damaged.
        if visited && !damaged && names == Names::Book {
            return Ok(());
        }
        let ipv6 = facts.bridges.iter().any(|bridge| bridge.subnets(true).next().is_some());
        FAMILIES
            .into_iter()
            .filter(|family| !family || ipv6)
            .try_for_each(|family| self.restore(family, &whole(names, family, facts, alone)))
    }

    fn add_bridge(&self, bridge: &BridgeFacts) -> Result<(), Error> {
        let names = self.names();
        for ipv6 in families(bridge) {
            if !chain_exists(ipv6, "filter", names.stage_two()) {
                self.restore(ipv6, &whole(names, ipv6, &Facts::default(), false))?;
            }
            self.apply(ipv6, &[], &bridge_rules(names, bridge, ipv6))?;
        }
        Ok(())
    }

    fn remove_bridge(&self, bridge: &BridgeFacts) -> Result<(), Error> {
        let names = self.names();
        families(bridge).try_for_each(|ipv6| self.apply(ipv6, &bridge_rules(names, bridge, ipv6), &[]))
    }

    fn add_endpoint(&self, endpoint: &EndpointFacts) -> Result<(), Error> {
        let names = self.names();
        FAMILIES
            .into_iter()
            .try_for_each(|ipv6| self.apply(ipv6, &[], &endpoint_rules(names, endpoint, ipv6)))
    }

    fn remove_endpoint(&self, endpoint: &EndpointFacts) -> Result<(), Error> {
        let names = self.names();
        FAMILIES
            .into_iter()
            .try_for_each(|ipv6| self.apply(ipv6, &endpoint_rules(names, endpoint, ipv6), &[]))
    }

    fn change_endpoints(&self, before: &[EndpointFacts], after: &[EndpointFacts]) -> Result<(), Error> {
        let names = self.names();
        for ipv6 in FAMILIES {
            let rules = |all: &[EndpointFacts]| -> Vec<Line> {
                all.iter().flat_map(|endpoint| endpoint_rules(names, endpoint, ipv6)).collect()
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
