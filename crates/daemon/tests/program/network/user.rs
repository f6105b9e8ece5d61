//! Networks of people's own making.

use super::*;

#[test]
fn a_user_network_has_names_and_is_joined_and_left_live() {
    let engine = Engine::start();
    let create = "network create --subnet 10.77.0.0/24 --ip-range 10.77.0.128/25 --gateway 10.77.0.254 --aux-address \
                  router=10.77.0.128 --ipv6 --subnet 2001:db8:77::/64 --label a=b -o com.docker.network.driver.mtu=1400 app";
    engine.docker(create.split_whitespace()).ok();
    sleeper(&engine, "one", &["--network", "app", "--network-alias", "svc"]);
    sleeper(
        &engine,
        "two",
        &["--network", "app", "--network-alias", "svc", "--ip", "10.77.0.200", "--ip6", "2001:db8:77::200"],
    );
    assert_eq!(
        engine.inspect("one", "{{.NetworkSettings.Networks.app.IPAddress}}"),
        "10.77.0.129",
        "aux is taken"
    );
    let asked = |name: &str| engine.docker(["exec", "one", "nslookup", name]).stdout;
    assert!(asked("two").contains("10.77.0.200") && asked("two").contains("2001:db8:77::200"));
    assert!(asked("svc").contains("10.77.0.200") && asked("svc").contains("10.77.0.129"));
    assert!(asked("10.77.0.200").contains("two.app"));
    engine.docker(["rm", "-f", "two"]).ok();
    assert!(!asked("svc").contains("10.77.0.200"), "a removed container is never answered again");

    sleeper(&engine, "box", &[]);
    let connect = "network connect --ip 10.77.0.50 --alias ali --driver-opt com.docker.network.endpoint.ifname=wire0 \
                   --gw-priority 5 app box";
    engine.docker(connect.split_whitespace()).ok();
    let shown = engine.docker(["exec", "box", "ip", "addr", "show", "wire0"]).ok();
    assert!(shown.contains("10.77.0.50/24") && shown.contains("mtu 1400"), "{shown}");
    let route = |engine: &Engine| engine.docker(["exec", "box", "ip", "route"]).ok();
    assert!(route(&engine).contains("default via 10.77.0.254 dev wire0"));
    assert!(asked("ali").contains("10.77.0.50"));
    assert_eq!(engine.docker(["exec", "one", "ping", "-c", "1", "-W", "3", "box"]).code, 0);
    let again = engine.docker(["network", "connect", "app", "box"]).failed();
    assert!(again.contains("endpoint with name box already exists in network app"), "{again}");
    engine.docker(["restart", "-t", "0", "box"]).ok();
    assert_eq!(
        engine.inspect("box", "{{.NetworkSettings.Networks.app.IPAddress}}"),
        "10.77.0.50",
        "a static address stays"
    );
    engine.docker(["network", "disconnect", "app", "box"]).ok();
    assert!(route(&engine).contains("default via 172.17.0.1 dev eth0"));
    let used = engine.docker(["network", "rm", "app"]).failed();
    assert!(used.contains("network app has active endpoints"), "{used}");
    engine.docker(["rm", "-f", "one"]).ok();
    assert_eq!(engine.docker(["network", "ls", "-q", "-f", "label=a=b", "--no-trunc"]).ok().len(), 64);
    assert_eq!(engine.docker(["network", "prune", "-f"]).ok(), "Deleted Networks:\napp");
    let events = engine.docker([
        "events",
        "--since",
        "1h",
        "--until=-1s",
        "--filter",
        "type=network",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ]);
    let events = events.ok();
    for wanted in ["create app", "connect app", "disconnect app", "destroy app"] {
        assert!(events.lines().any(|line| line == wanted), "{wanted} is not in {events}");
    }
}

#[test]
fn a_container_of_no_network_is_taken_off_none_and_gets_one_while_it_runs() {
    let mut engine = Engine::start();
    shell(&host(&engine), "ip link set lo up").ok();
    engine.docker(["network", "create", "app"]).ok();
    let on = |engine: &Engine| {
        engine.inspect(
            "web",
            "{{.HostConfig.NetworkMode}}:{{range $name, $_ := .NetworkSettings.Networks}} {{$name}}{{end}}",
        )
    };
    let network = |engine: &Engine, verb: &str, name: &str| engine.docker(["network", verb, name, "web"]);
    web(&engine, "web", &["--network", "none", "-p", "8080:80", "--add-host", "far:192.0.2.9"]);
    sleeper(&engine, "asker", &["--network", "app"]);
    engine.docker(["exec", "web", "sh", "-c", "echo 192.0.2.8 mine >> /etc/hosts"]).ok();
    let told = network(&engine, "connect", "app").failed();
    assert!(told.contains("with one of the networks in private (none) mode"), "{told}");
    network(&engine, "disconnect", "none").ok();
    assert_eq!(on(&engine), "none:");
    assert!(network(&engine, "disconnect", "none").failed().contains("is not connected to network none"));
    // Its namespace is the engine's from now on, whatever becomes of that.
    let held = std::fs::File::open(host(&engine)).unwrap();
    let held = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    engine.crash();
    engine.relaunch_in(&held, &[]);
    network(&engine, "connect", "app").ok();
    assert_eq!(on(&engine), "none: app");
    assert_eq!(fetch(&engine, "asker", "web", 80), "hello", "by its name");
    assert_eq!(get(&held, "http://127.0.0.1:8080").trim(), "hello", "its ports are published");
    let files = engine.docker(["exec", "web", "cat", "/etc/hosts", "/etc/resolv.conf"]).ok();
    for wanted in ["192.0.2.9\tfar", "192.0.2.8 mine", "172.18.0.3\t", "nameserver 127.0.0.11"] {
        assert!(files.contains(wanted), "{wanted} is not in {files}");
    }
    engine.docker(["exec", "web", "nslookup", "-type=a", "asker."]).ok();
    engine.docker(["restart", "-t", "0", "web"]).ok();
    assert_eq!(on(&engine), "none: app");
    network(&engine, "connect", "bridge").ok();
    assert!(network(&engine, "connect", "none").failed().contains("private (none) mode"));
    for name in ["app", "bridge"] {
        network(&engine, "disconnect", name).ok();
    }
    assert_eq!(on(&engine), "none:");
    assert_eq!(get(&held, "http://127.0.0.1:8080"), "");
    network(&engine, "connect", "none").ok();
    assert_eq!(on(&engine), "none: none");
    // And one that rests.
    engine.docker(["stop", "-t", "0", "web"]).ok();
    network(&engine, "connect", "app").failed();
    network(&engine, "disconnect", "none").ok();
    network(&engine, "connect", "app").ok();
    engine.docker(["start", "web"]).ok();
    assert_eq!(on(&engine), "none: app");
    engine.docker(["rm", "-f", "web", "asker"]).ok();
    let left = engine.path("run").join("netns");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0, "no namespace is kept");
}
