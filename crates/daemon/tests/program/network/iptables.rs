//! `--firewall-backend=iptables`: the book's chains, and what they let through. Published ports by all ways are in `ports`.

use super::*;

/// What stands, without counters.
fn saved(namespace: &str) -> String {
    let said = shell(namespace, "iptables-save; ip6tables-save").ok();
    said.lines().filter(|line| !line.starts_with(['#', ':'])).map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_is_removed_leaves_no_rule_and_what_is_flushed_is_back() {
    let engine = Engine::with(&["--firewall-backend=iptables", "--icc=false"]);
    let client = Machine::beside(&engine);
    let host = host(&engine);
    let before = saved(&host);
    let make = || {
        engine.docker(["network", "create", "app"]).ok();
        engine.docker(["network", "create", "--internal", "shut"]).ok();
        web(
            &engine,
            "web",
            &["-p", "8080:80", "-p", "127.0.0.1:8081:80", "-p", "9000-9009:9000-9009/udp", "--expose", "80"],
        );
        sleeper(&engine, "friend", &["--link", "web:web"]);
        sleeper(&engine, "other", &["--network", "app", "-p", "7000-7004:8000-8004"]);
        engine.docker(["network", "connect", "shut", "other"]).ok();
    };
    make();
    assert_eq!(client.get("http://192.0.2.10:8080").trim(), "hello");
    let standing = saved(&host);
    for wanted in [
        "-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
        "-A DOCKER -d 127.0.0.1/32 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80",
        "-A DOCKER -p udp -m udp --dport 9000:9009 -j DNAT --to-destination 172.17.0.2",
        "-A POSTROUTING -s 172.17.0.0/16 ! -o gantry0 -j MASQUERADE",
        "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -i gantry0 -o gantry0 -j DROP",
    ] {
        assert!(standing.contains(wanted), "{wanted} is not in {standing}");
    }
    // The engine writes again what any of the tables lost; twice, so that nothing is there twice.
    for flush in [
        "iptables -D FORWARD -o gantry0 -j DOCKER",
        "iptables -F",
        "iptables -t nat -F",
        "iptables -t raw -F; iptables -t nat -F; iptables -F",
    ] {
        shell(&host, flush).ok();
        let begun = std::time::Instant::now();
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        while sorted(&saved(&host)) != sorted(&standing) {
            assert!(begun.elapsed() < PATIENCE, "{flush}: {}\nis not\n{standing}", saved(&host));
        }
        assert_eq!(client.get("http://192.0.2.10:8080").trim(), "hello", "{flush}");
    }
    engine.docker(["rm", "-f", "web", "friend", "other"]).ok();
    engine.docker(["network", "rm", "app", "shut"]).ok();
    assert_eq!(saved(&host), before);
}

#[test]
fn a_hosts_own_rules_are_asked_first_and_stay() {
    let mut engine = Engine::with(&["--firewall-backend=iptables"]);
    let client = Machine::beside(&engine);
    let held = std::fs::File::open(host(&engine)).unwrap();
    let held = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    web(&engine, "web", &["-p", "8080:80"]);
    let url = "http://192.0.2.10:8080";
    assert_eq!(client.get(url).trim(), "hello");
    shell(&held, &format!("iptables -I DOCKER-USER -s {CLIENT} -j DROP")).ok();
    assert_eq!(client.get(url), "");
    engine.docker(["network", "create", "other"]).ok();
    engine.crash();
    assert_eq!(client.get(url), "", "without an engine, too");
    engine.relaunch_in(&held, &["--firewall-backend=iptables"]);
    assert_eq!(client.get(url), "", "and after its next start");
    shell(&held, "iptables -F DOCKER-USER").ok();
    let begun = std::time::Instant::now();
    while client.get(url).trim() != "hello" {
        assert!(begun.elapsed() < PATIENCE);
    }
}
