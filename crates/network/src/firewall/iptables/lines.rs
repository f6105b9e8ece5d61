//! The rules as text, and the names of the chains that they stand in.

use std::collections::BTreeSet;

use crate::firewall::{BridgeFacts, EndpointFacts, Facts};

/// A rule: its table, its text, and whether it goes in front.
pub type Line = (&'static str, String, bool);

/// What our chains are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// As in the book, after Docker.
    Book,
    /// Our own, beside a Docker that has the book's.
    Own,
}

/// The host's own chain, whoever else is there.
pub const USER: &str = "DOCKER-USER";

/// Chains that only Docker's engines since 28 make.
const DOCKERS_ALONE: [&str; 4] = ["DOCKER-FORWARD", "DOCKER-CT", "DOCKER-BRIDGE", "DOCKER-INTERNAL"];
/// What any of its engines writes, and what those before 28 end a chain with; our own lines are others.
const DOCKERS_LINES: [&str; 2] =
    ["-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", "-A DOCKER-ISOLATION-STAGE-1 -j RETURN"];

impl Names {
    /// Chains that are ours alone, each with its table: all in them is written anew when everything is.
    pub fn chains(self) -> [(&'static str, &'static str); 4] {
        [
            ("nat", self.main()),
            ("filter", self.main()),
            ("filter", self.stage_one()),
            ("filter", self.stage_two()),
        ]
    }

    fn main(self) -> &'static str {
        match self {
            Names::Book => "DOCKER",
            Names::Own => "GANTRY",
        }
    }

    fn stage_one(self) -> &'static str {
        match self {
            Names::Book => "DOCKER-ISOLATION-STAGE-1",
            Names::Own => "GANTRY-ISOLATION-STAGE-1",
        }
    }

    pub fn stage_two(self) -> &'static str {
        match self {
            Names::Book => "DOCKER-ISOLATION-STAGE-2",
            Names::Own => "GANTRY-ISOLATION-STAGE-2",
        }
    }

    /// What they have to be called beside what stands (`iptables-save`): the book's are Docker's where something stands that
    /// Docker alone writes. Chains of our own names keep them.
    pub fn beside(saved: &str) -> Names {
        let declares = |chain: &str| saved.lines().any(|line| line.starts_with(&format!(":{chain} ")));
        let dockers = DOCKERS_ALONE.iter().any(|chain| declares(chain))
            || saved.lines().any(|line| DOCKERS_LINES.contains(&line));
        if dockers || declares(Names::Own.main()) { Names::Own } else { Names::Book }
    }

    /// The jump that nobody but us writes.
    pub fn fingerprint(self, ipv6: bool) -> String {
        let loopback = loopback(ipv6);
        format!("PREROUTING ! -d {loopback} -m addrtype --dst-type LOCAL -j {}", self.main())
    }
}

fn loopback(ipv6: bool) -> &'static str {
    if ipv6 { "::1/128" } else { "127.0.0.0/8" }
}

/// The jumps into the chains.
pub fn jumps(names: Names, ipv6: bool) -> Vec<Line> {
    let main = names.main();
    vec![
        // To 127.0.0.1 only the host itself comes: there is no proxy, so its own packets are translated too.
        ("nat", names.fingerprint(ipv6), false),
        ("nat", format!("OUTPUT -m addrtype --dst-type LOCAL -j {main}"), false),
        ("filter", format!("FORWARD -j {}", names.stage_one()), true),
        ("filter", format!("FORWARD -j {USER}"), true),
    ]
}

/// What we wrote under the book's names and Docker does not: it goes when the names change.
pub fn left_behind(ipv6: bool, facts: &Facts) -> Vec<Line> {
    let (books, own) = (all(Names::Book, ipv6, facts), all(Names::Own, ipv6, facts));
    let dockers_too = ["FORWARD -j DOCKER-ISOLATION-STAGE-1"];
    books.into_iter().filter(|line| !own.contains(line) && !dockers_too.contains(&line.1.as_str())).collect()
}

/// Everything of a family.
pub fn all(names: Names, ipv6: bool, facts: &Facts) -> Vec<Line> {
    let mut rules = jumps(names, ipv6);
    rules.extend(facts.bridges.iter().flat_map(|bridge| bridge_rules(names, bridge, ipv6)));
    rules.extend(facts.endpoints.iter().flat_map(|endpoint| endpoint_rules(names, endpoint, ipv6)));
    rules
}

/// Rules of a network: table, chain with verb placeholder, and the rest.
pub fn bridge_rules(names: Names, bridge: &BridgeFacts, ipv6: bool) -> Vec<Line> {
    let name = &bridge.bridge;
    let loopback = loopback(ipv6);
    let (main, stage_one, stage_two) = (names.main(), names.stage_one(), names.stage_two());
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
    // From an internal network not even a port that a neighbour publishes is reached.
    let onward = if bridge.internal { "DROP" } else { stage_two };
    rules.push(("filter", format!("{stage_one} -i {name} ! -o {name} -j {onward}"), false));
    rules.push(("filter", format!("{stage_two} -o {name} -m conntrack ! --ctstate DNAT -j DROP"), false));
    let icc = if bridge.options.icc { "ACCEPT" } else { "DROP" };
    if bridge.internal {
        rules.push(("filter", format!("FORWARD -o {name} ! -i {name} -j DROP"), false));
    } else {
        rules.push((
            "filter",
            format!("FORWARD -o {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
            false,
        ));
        rules.push(("filter", format!("FORWARD -o {name} -j {main}"), false));
        rules.push(("filter", format!("FORWARD -i {name} ! -o {name} -j ACCEPT"), false));
    }
    rules.push(("filter", format!("FORWARD -i {name} -o {name} -j {icc}"), false));
    if !bridge.internal {
        rules.push(("filter", format!("FORWARD ! -i {name} -o {name} -j DROP"), false));
    }
    rules
}

/// Rules of an endpoint; the last part says whether it goes in front.
pub fn endpoint_rules(names: Names, endpoint: &EndpointFacts, ipv6: bool) -> Vec<Line> {
    let (bridge, main) = (&endpoint.bridge.bridge, names.main());
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
            format!("{main} {host}-p {protocol} --dport {host_ports} -j DNAT --to-destination {target}"),
            false,
        ));
        let container_ports = run(port.container_port, ':');
        rules.push((
            "filter",
            format!(
                "{main} -d {own} ! -i {bridge} -o {bridge} -p {protocol} --dport {container_ports} -j ACCEPT"
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

/// Each once: a port that is published on two addresses is let through by one rule.
pub fn once(rules: &[Line]) -> impl Iterator<Item = &Line> {
    let mut seen = BTreeSet::new();
    rules.iter().filter(move |(table, rule, _)| seen.insert((*table, rule.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_names_are_taken_where_nobody_has_them() {
        for saved in [
            "",
            ":DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n-A DOCKER-USER -j RETURN\n",
            "-A PREROUTING ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER\n",
            "-A DOCKER-ISOLATION-STAGE-1 -i gantry0 ! -o gantry0 -j DOCKER-ISOLATION-STAGE-2\n",
            "-A DOCKER -s 10.0.0.0/8 -j RETURN\n-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n",
        ] {
            assert_eq!(Names::beside(saved), Names::Book, "{saved}");
        }
    }

    #[test]
    fn beside_docker_they_are_our_own_and_stay_so() {
        for saved in [
            "-A DOCKER-ISOLATION-STAGE-1 -j RETURN\n",
            "*nat\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n",
            "*filter\n:DOCKER-FORWARD - [0:0]\n",
            "*nat\n:GANTRY - [0:0]\n",
        ] {
            assert_eq!(Names::beside(saved), Names::Own, "{saved}");
        }
    }
}
