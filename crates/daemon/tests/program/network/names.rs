//! Names: in containers by Docker's words, and on the host.

use super::*;

/// What a resolver on the host is told by the server that the engine has there.
fn host_asks(engine: &Engine, name: &str) -> Said {
    shell(&host(engine), &format!("busybox nslookup -type=a {name} 172.17.0.1"))
}

#[test]
fn containers_names_are_known_on_the_host_under_a_suffix() {
    for (flags, suffix) in [
        (vec!["--host-dns", "172.17.0.1"], "gantry"),
        (vec!["--host-dns", "172.17.0.1:53", "--host-dns-suffix", ".docker"], "docker"),
    ] {
        let engine = Engine::with(&flags);
        shell(&host(&engine), "ip link set lo up").ok();
        engine.docker(["network", "create", "app"]).ok();
        sleeper(&engine, "web", &[]);
        sleeper(&engine, "db", &["--network", "app", "--network-alias", "postgres"]);
        let address = engine.inspect("db", "{{.NetworkSettings.Networks.app.IPAddress}}");
        assert!(host_asks(&engine, &format!("web.{suffix}")).ok().contains("172.17.0.2"));
        for name in ["db", "postgres"] {
            assert!(host_asks(&engine, &format!("{name}.{suffix}")).ok().contains(&address), "{name}");
        }
        let backwards = shell(&host(&engine), "busybox nslookup 172.17.0.2 172.17.0.1").ok();
        assert!(backwards.contains(&format!("web.{suffix}")), "{backwards}");
        engine.docker(["rm", "-f", "web"]).ok();
        let gone = host_asks(&engine, &format!("web.{suffix}"));
        assert!(!gone.stdout.contains("172.17.0.2") && gone.stdout.contains("NXDOMAIN"), "{gone:?}");
    }
}

#[test]
fn search_domains_options_and_servers_of_a_container_are_its_own() {
    let engine = Engine::with(&["--dns-search", "corp.example"]);
    engine.docker(["network", "create", "app"]).ok();
    sleeper(
        &engine,
        "db",
        &["--network", "app", "--network-alias", "db1.inner.example", "--network-alias", "db2.corp.example"],
    );
    let asks = |flags: &[&str], name: &str| {
        let line = format!("ping -c 1 -W 3 {name} | head -n 1; cat /etc/resolv.conf");
        let begin = ["run", "--rm", "--network", "app"];
        engine.docker([&begin, flags, &["busybox", "sh", "-c", &line]].concat()).ok()
    };
    let address = engine.inspect("db", "{{.NetworkSettings.Networks.app.IPAddress}}");
    let own = ["--dns-search", "inner.example", "--dns-option", "ndots:2", "--dns", "192.0.2.99"];
    let said = asks(&own, "db1");
    assert!(said.contains(&address) && said.contains("search inner.example"), "{said}");
    assert!(said.contains("nameserver 127.0.0.11") && said.contains("options ndots:2"), "{said}");
    let said = asks(&[], "db2");
    assert!(said.contains(&address) && said.contains("search corp.example"), "the engine's: {said}");
}

#[test]
fn the_three_files_are_edited_in_a_running_container_and_not_committed() {
    let engine = Engine::start();
    let flags = [
        "--hostname",
        "h1",
        "--add-host",
        "db:10.1.1.1",
        "--add-host",
        "me:host-gateway",
        "--mac-address",
        "02:00:00:00:00:42",
    ];
    sleeper(&engine, "box", &flags);
    let mounts = engine.docker(["exec", "box", "mount"]).ok();
    for file in ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"] {
        assert!(mounts.contains(&format!(" on {file} ")), "the book shows it: {mounts}");
    }
    let inside = "echo 10.9.9.9 mine >> /etc/hosts; echo 'nameserver 10.9.9.9' > /etc/resolv.conf; hostname; cat /etc/hosts; ip link show eth0";
    let said = engine.docker(["exec", "box", "sh", "-ec", inside]).ok();
    for wanted in ["h1\n", "10.1.1.1\tdb", "172.17.0.1\tme", "10.9.9.9 mine", "02:00:00:00:00:42"] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
    engine.docker(["commit", "box", "saved"]).ok();
    let later = ["run", "--rm", "saved", "cat", "/etc/hosts", "/etc/resolv.conf"];
    let later = engine.docker(later).ok();
    assert!(!later.contains("10.9.9.9"), "{later}");
}
