//! Restarts, crashes, and many lives.

use super::*;

#[test]
fn the_namespace_is_the_engines_so_a_neighbour_in_it_outlives_a_restart_and_a_crash() {
    let mut engine = Engine::start();
    let client = Machine::beside(&engine);
    sleeper(&engine, "vpn", &["-p", "8080:80"]);
    web(&engine, "app", &["--network", "container:vpn"]);
    let url = "http://192.0.2.10:8080";
    assert_eq!(client.get(url).trim(), "hello");
    engine.docker(["restart", "-t", "0", "vpn"]).ok();
    assert_eq!(client.get(url).trim(), "hello", "over a restart of its owner");
    engine.docker(["stop", "-t", "0", "vpn"]).ok();
    assert_eq!(client.get(url).trim(), "hello", "while its owner rests");
    engine.docker(["start", "vpn"]).ok();

    let held = std::fs::File::open(host(&engine)).unwrap();
    let held = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    engine.crash();
    assert_eq!(client.get(url).trim(), "hello", "without an engine");
    shell(&held, "nft flush ruleset; ip link del $(ip -o link show master gantry0 | head -n 1 | cut -d: -f2 | cut -d@ -f1)").ok();
    assert_eq!(client.get(url), "");
    engine.relaunch_in(&held, &[]);
    assert_eq!(client.get(url).trim(), "hello", "after a restart, repaired");
    shell(&held, "nft flush ruleset").ok();
    let begun = std::time::Instant::now();
    while client.get(url).trim() != "hello" {
        assert!(begun.elapsed() < PATIENCE, "a flush is not mended");
    }
    engine.docker(["rm", "-f", "app", "vpn"]).ok();
    let left =
        "ip -o link show master gantry0; nft list map inet gantry port4_any | grep tcp || true; ls {}/netns";
    let left = left.replace("{}", &engine.path("run").display().to_string());
    // The kernel takes the cables away when it comes to it.
    let begun = std::time::Instant::now();
    loop {
        let left = shell(&held, &left).ok();
        if left.is_empty() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "this is left: {left}");
    }
}

#[test]
fn many_lives_through_the_door_leave_nothing() {
    // GANTRY_CYCLES=1000 for the long form.
    let cycles = std::env::var("GANTRY_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let engine = Engine::start();
    // Rules, links, namespaces, addresses: as they are shown, without handles and counters.
    let standing = |engine: &Engine| {
        let look = "nft list ruleset; ip -o link | cut -d: -f2 | cut -d@ -f1; ip -o addr show scope global; ls {}/netns; ip route";
        shell(&host(engine), &look.replace("{}", &engine.path("run").display().to_string())).stdout
    };
    sleeper(&engine, "first", &["-p", "80"]);
    engine.docker(["rm", "-f", "first"]).ok();
    let begun = std::time::Instant::now();
    while standing(&engine).contains("veth") {
        assert!(begun.elapsed() < PATIENCE);
    }
    let before = standing(&engine);
    let good = |(status, body): (u16, serde_json::Value)| {
        assert!((200..300).contains(&status), "{status} {body}");
        body
    };
    let resident = |engine: &Engine| {
        let line = format!("grep VmRSS /proc/{}/status", engine.pid().as_raw_nonzero());
        shell(&host(engine), &line).ok()
    };
    let mut hundred = std::time::Instant::now();
    for turn in 0..cycles {
        let network = format!("n{turn}");
        good(engine.http("POST", "/networks/create", &format!(r#"{{"Name": "{network}"}}"#)));
        let spec = format!(
            r#"{{"Image": "busybox", "Cmd": ["sleep", "1000"], "ExposedPorts": {{"80/tcp": {{}}, "53/udp": {{}}}},
                "HostConfig": {{"NetworkMode": "{network}", "PortBindings": {{"80/tcp": [{{"HostPort": ""}}], "53/udp": [{{}}]}}}}}}"#
        );
        let id = good(engine.http("POST", "/containers/create", &spec))["Id"].as_str().unwrap().to_owned();
        good(engine.http("POST", &format!("/containers/{id}/start"), ""));
        let joins = format!(r#"{{"Container": "{id}"}}"#);
        good(engine.http("POST", "/networks/bridge/connect", &joins));
        good(engine.http("DELETE", &format!("/containers/{id}?force=1"), ""));
        good(engine.http("DELETE", &format!("/networks/{network}"), ""));
        if (turn + 1) % 100 == 0 {
            eprintln!("a hundred lives: {:?}, {}", hundred.elapsed(), resident(&engine));
            hundred = std::time::Instant::now();
        }
    }
    let begun = std::time::Instant::now();
    while standing(&engine) != before {
        assert!(begun.elapsed() < PATIENCE, "{}\nis not\n{before}", standing(&engine));
    }
    assert_eq!(engine.docker(["network", "ls", "-q"]).ok().lines().count(), 3);
    sleeper(&engine, "last", &[]);
    assert_eq!(engine.inspect("last", "{{.NetworkSettings.IPAddress}}"), "172.17.0.2", "every lease is back");
    let sockets = format!("ls /proc/{}/fd | wc -l", engine.pid().as_raw_nonzero());
    let open: usize = shell(&host(&engine), &sockets).ok().trim().parse().unwrap();
    assert!(open < 100, "no descriptor is kept for what is gone: {open}");
}

#[test]
fn a_second_engine_on_one_host_is_refused_before_it_touches_a_rule() {
    let engine = Engine::start();
    let client = Machine::beside(&engine);
    web(&engine, "web", &["-p", "8080:80"]);
    let second = |flags: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", host(&engine))).arg(gantry()).arg("daemon").args(flags);
        command.args(["--data-root", &at("d"), "--exec-root", &at("e"), "--pidfile", &at("p")]);
        command.args(["-H", &format!("unix://{}", at("s")), "--config-file", "/dev/null"]).output().unwrap()
    };
    for flags in [&[][..], &["--drop-in"], &["--firewall-backend=iptables", "--bridge=none"]] {
        let said = second(flags);
        let told = String::from_utf8_lossy(&said.stderr).into_owned();
        let first = engine.pid().as_raw_nonzero();
        assert!(
            told.contains(&format!("another engine (process {first}) keeps the packet rules")),
            "{flags:?}: {told}"
        );
        assert!(!said.status.success());
    }
    assert_eq!(client.get("http://192.0.2.10:8080").trim(), "hello");
}
