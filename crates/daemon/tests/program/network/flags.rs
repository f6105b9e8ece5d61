//! The engine's network flags, and the same as keys of `daemon.json`.

use super::*;

use crate::harness::Engine;

/// What the default bridge is told, by flags and by `daemon.json`.
const FLAGS: &str = "--bip 10.50.0.1/24 --fixed-cidr 10.50.0.128/25 --default-gateway 10.50.0.77 --mtu 1300 --ip 127.0.0.1 \
                     --icc=false --dns 9.9.9.9 --dns-opt timeout:2 --dns-search corp.example --userland-proxy=false \
                     --ipv6 --fixed-cidr-v6 2001:db8:50:1::/80 --default-gateway-v6 2001:db8:50:1::77 \
                     --default-address-pool base=10.200.0.0/16,size=24";
const KEYS: &str = r#"{"bip": "10.50.0.1/24", "fixed-cidr": "10.50.0.128/25", "default-gateway": "10.50.0.77", "mtu": 1300,
    "ip": "127.0.0.1", "icc": false, "dns": ["9.9.9.9"], "dns-opts": ["timeout:2"], "dns-search": ["corp.example"],
    "userland-proxy": false, "ipv6": true, "fixed-cidr-v6": "2001:db8:50:1::/80", "default-gateway-v6": "2001:db8:50:1::77",
    "default-address-pools": [{"base": "10.200.0.0/16", "size": 24}]}"#;

/// An engine whose `daemon.json` says this.
fn told(keys: &str) -> Engine {
    let mut engine = Engine::start();
    assert_eq!(engine.stop(), 0);
    std::fs::write(engine.path("daemon.json"), keys).unwrap();
    engine.launch();
    engine
}

#[test]
fn the_flags_of_the_default_bridge_are_heard() {
    heard(Engine::with(&FLAGS.split_whitespace().collect::<Vec<_>>()));
}

#[test]
fn the_keys_of_the_default_bridge_are_heard_by_an_engine_that_had_others() {
    heard(told(KEYS));
}

fn heard(mut engine: Engine) {
    shell(&host(&engine), "ip link set lo up").ok();
    run(
        &engine,
        "db",
        &["--expose", "80", "-p", "8080:80"],
        &["sh", "-c", "mkdir /w; echo hello > /w/index.html; httpd -p 81 -h /w; exec httpd -f -p 80 -h /w"],
    );
    assert_eq!(engine.docker(["port", "db"]).ok(), "80/tcp -> 127.0.0.1:8080");
    assert_eq!(engine.inspect("db", "{{.NetworkSettings.IPAddress}}"), "10.50.0.128");
    assert!(engine.inspect("db", "{{.NetworkSettings.GlobalIPv6Address}}").starts_with("2001:db8:50:1:"));
    let inside = "ip addr show eth0; ip route; ip -6 route; cat /etc/resolv.conf";
    let inside = engine.docker(["exec", "db", "sh", "-c", inside]).ok();
    for wanted in [
        "10.50.0.128/24",
        "mtu 1300",
        "default via 10.50.0.77",
        "default via 2001:db8:50:1::77",
        "nameserver 9.9.9.9",
        "search corp.example",
        "options timeout:2",
    ] {
        assert!(inside.contains(wanted), "{wanted} is not in {inside}");
    }
    sleeper(&engine, "stranger", &[]);
    sleeper(&engine, "friend", &["--link", "db:data"]);
    assert_eq!(fetch(&engine, "stranger", "10.50.0.128", 80), "");
    assert_eq!(fetch(&engine, "friend", "10.50.0.128", 80), "hello");
    assert_eq!(fetch(&engine, "friend", "10.50.0.128", 81), "", "only what is exposed");
    assert!(
        engine
            .docker(["exec", "friend", "cat", "/proc/1/environ"])
            .ok()
            .contains("DATA_PORT_80_TCP=tcp://10.50.0.128:80")
    );
    engine.docker(["network", "create", "--attachable", "pool"]).ok();
    let format = "{{(index .IPAM.Config 0).Subnet}} {{.Attachable}}";
    assert_eq!(engine.docker(["network", "inspect", "-f", format, "pool"]).ok(), "10.200.0.0/24 true");
    assert_eq!(engine.stop(), 0);
}

/// The container calls another machine; whom that one sees.
fn seen_by(client: &Machine, engine: &Engine) -> String {
    let mut server = Command::new("nsenter");
    server.arg(format!("--net={}", client.namespace()));
    server.args(["busybox", "httpd", "-f", "-v", "-p", "9", "-h", "/proc/self"]);
    let mut server = server.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = std::time::Instant::now();
    while fetch(engine, "box", CLIENT, 9).is_empty() {
        assert!(begun.elapsed() < PATIENCE);
    }
    server.kill().unwrap();
    String::from_utf8_lossy(&server.wait_with_output().unwrap().stderr).into_owned()
}

#[test]
fn without_masquerading_the_world_sees_the_containers_own_address() {
    let iptables = "--firewall-backend=iptables";
    for (engine, plain) in [
        (Engine::with(&["--ip-masq=false"]), false),
        (told(r#"{"ip-masq": false}"#), false),
        (Engine::start(), true),
        (Engine::with(&[iptables, "--ip-masq=false"]), false),
        (Engine::with(&[iptables]), true),
    ] {
        let client = Machine::beside(&engine);
        shell(&client.namespace(), &format!("ip route add 172.17.0.0/16 via {HOST}")).ok();
        sleeper(&engine, "box", &[]);
        let seen = seen_by(&client, &engine);
        assert!(seen.contains(if plain { HOST } else { "172.17.0.2" }), "{seen}");
    }
}

#[test]
fn without_forwarding_the_kernels_switch_is_left_alone() {
    let forwards = |engine: &Engine| shell(&host(engine), "cat /proc/sys/net/ipv4/ip_forward").ok();
    for engine in [Engine::with(&["--ip-forward=false"]), told(r#"{"ip-forward": false}"#)] {
        // A new network namespace may have it on already, as this machine's has.
        shell(&host(&engine), "echo 0 > /proc/sys/net/ipv4/ip_forward").ok();
        engine.docker(["network", "create", "one"]).ok();
        sleeper(&engine, "box", &["--network", "one"]);
        assert_eq!(forwards(&engine), "0");
    }
    let engine = Engine::start();
    shell(&host(&engine), "echo 0 > /proc/sys/net/ipv4/ip_forward").ok();
    engine.docker(["network", "create", "one"]).ok();
    assert_eq!(forwards(&engine), "1");
}

#[test]
fn the_firewalls_keys_are_heard() {
    let engine =
        told(r#"{"firewall-backend": "iptables", "host-dns": "172.17.0.1", "host-dns-suffix": "docker"}"#);
    let rules = shell(&host(&engine), "iptables -t nat -nL; nft list tables").ok();
    assert!(rules.contains("Chain DOCKER") && !rules.contains("inet gantry"), "{rules}");
    sleeper(&engine, "web", &[]);
    shell(&host(&engine), "ip link set lo up").ok();
    let said = shell(&host(&engine), "busybox nslookup -type=a web.docker 172.17.0.1").ok();
    assert!(said.contains("172.17.0.2"), "{said}");
    drop(engine);
    let engine = told(r#"{"iptables": false}"#);
    assert_eq!(shell(&host(&engine), "nft list tables").ok(), "");
    shell(&host(&engine), "ip link set lo up").ok();
    web(&engine, "web", &["-p", "8080:80"]);
    assert_eq!(get(&host(&engine), "http://127.0.0.1:8080").trim(), "hello", "copied, as by Docker's proxy");
}

#[test]
fn without_the_right_to_write_rules_the_engine_says_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for backend in ["nftables", "iptables"] {
        let mut command = Command::new("unshare");
        command.args(["--net", "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]);
        command.arg(gantry()).args(["daemon", "--data-root", &at("d"), "--exec-root", &at("e")]);
        command.args(["--pidfile", &at("p"), "-H", &format!("unix://{}", at("s"))]);
        command.args(["--config-file", "/dev/null", "--firewall-backend", backend]);
        let said = command.output().unwrap();
        let told = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success(), "{backend}");
        let wanted = "packet rules: not permitted: the engine needs the capability CAP_NET_ADMIN";
        assert!(told.contains(wanted), "{backend}: {told}");
    }
}

#[test]
fn a_bad_setting_is_told_with_its_flag() {
    for (flags, wanted) in [
        (["--bip", "10.0.0.0.1/24"], "--bip: 10.0.0.0.1/24"),
        (["--fixed-cidr", "10.0.0.0"], "--fixed-cidr: 10.0.0.0"),
        (["--host-dns", "everywhere"], "--host-dns: everywhere"),
        (["--bridge", "nowhere0"], "nowhere0"),
        (["--default-address-pool", "base=10.0.0.0/24,size=16"], "default-address-pool: size 16 is larger"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut command = Command::new("unshare");
        command.arg("--net").arg(gantry()).args(["daemon", "--data-root", &at("d"), "--exec-root", &at("e")]);
        command.args([
            "--pidfile",
            &at("p"),
            "-H",
            &format!("unix://{}", at("s")),
            "--config-file",
            "/dev/null",
        ]);
        let said = command.args(flags).output().unwrap();
        let told = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && told.contains(wanted), "{flags:?}: {told}");
    }
}
