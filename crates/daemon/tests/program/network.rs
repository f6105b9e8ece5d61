//! Networks under the original client. Other machines are network namespaces on a cable to the engine's.

use std::process::{Child, Command, Stdio};

use crate::harness::{Engine, PATIENCE, Said, gantry};

const HOST: &str = "192.0.2.10";
const CLIENT: &str = "192.0.2.20";
/// A web server in a container; every answer is one word.
const WEB: &str = "mkdir /w; echo hello > /w/index.html; exec httpd -f -v -p 80 -h /w";

/// A machine on the same cable as the engine's. Dropping it takes the cable away.
struct Machine(Child);

impl Machine {
    /// A machine at [`CLIENT`]; the engine's host is at [`HOST`], on its interface `lan`.
    fn beside(engine: &Engine) -> Machine {
        let child = Command::new("unshare").args(["--net", "--", "sleep", "infinity"]).spawn().unwrap();
        let machine = Machine(child);
        let (host, other) = (host(engine), machine.namespace());
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let begun = std::time::Instant::now();
        while std::fs::read_link(&other).unwrap() == own {
            assert!(begun.elapsed() < PATIENCE);
        }
        let cable = format!(
            "ip link add lan type veth peer name lan netns {}; ip addr add {HOST}/24 dev lan; ip link set lan up; \
             ip link set lo up",
            machine.0.id()
        );
        shell(&host, &cable).ok();
        shell(&other, &format!("ip addr add {CLIENT}/24 dev lan; ip link set lan up; ip link set lo up"))
            .ok();
        machine
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    fn get(&self, url: &str) -> String {
        get(&self.namespace(), url)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The namespace that is the engine's host.
fn host(engine: &Engine) -> String {
    format!("/proc/{}/ns/net", engine.pid().as_raw_nonzero())
}

/// A shell's line in a network namespace.
fn shell(namespace: &str, line: &str) -> Said {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={namespace}")).args(["sh", "-ec", line]).stdin(Stdio::null());
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What a web server answers; empty when nobody does.
fn get(namespace: &str, url: &str) -> String {
    shell(namespace, &format!("curl -s -g -m 3 {url} || true")).ok()
}

/// The same from inside a container.
fn fetch(engine: &Engine, container: &str, address: &str, port: u16) -> String {
    let line = format!(
        "printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {address} {port} 2>/dev/null | tail -n 1"
    );
    engine.docker(["exec", container, "sh", "-c", &line]).stdout.trim().to_owned()
}

fn run(engine: &Engine, name: &str, flags: &[&str], program: &[&str]) {
    let begin = ["run", "-d", "--name", name];
    engine.docker([&begin, flags, &["busybox"], program].concat()).ok();
}

fn web(engine: &Engine, name: &str, flags: &[&str]) {
    run(engine, name, flags, &["sh", "-c", WEB]);
    engine
        .until(&["exec", name, "sh", "-c", "nc -w 1 127.0.0.1 80 </dev/null >/dev/null 2>&1; echo $?"], "0");
}

fn sleeper(engine: &Engine, name: &str, flags: &[&str]) {
    run(engine, name, flags, &["sleep", "1000"]);
}

#[test]
fn a_published_port_is_reached_from_everywhere_and_loopback_from_the_host_alone() {
    let engine = Engine::start();
    let client = Machine::beside(&engine);
    web(&engine, "web", &["-p", "8080:80", "-p", "127.0.0.1:8081:80"]);
    let said = engine.docker(["port", "web"]).ok();
    assert_eq!(said, "80/tcp -> 0.0.0.0:8080\n80/tcp -> 127.0.0.1:8081");
    for url in
        ["http://127.0.0.1:8080", "http://localhost:8080", "http://192.0.2.10:8080", "http://172.17.0.1:8080"]
    {
        assert_eq!(get(&host(&engine), url).trim(), "hello", "{url}");
    }
    assert_eq!(client.get("http://192.0.2.10:8080").trim(), "hello");
    assert!(
        engine.docker(["logs", "web"]).stderr.contains(CLIENT),
        "the client's own address is seen inside"
    );
    for (address, port) in [(HOST, 8080), ("172.17.0.1", 8080), ("172.17.0.2", 80)] {
        assert_eq!(
            fetch(&engine, "web", address, port),
            "hello",
            "{address}:{port} from the container itself"
        );
    }

    assert_eq!(get(&host(&engine), "http://127.0.0.1:8081").trim(), "hello");
    assert_eq!(client.get("http://192.0.2.10:8081"), "");
    // Forged routes: to the host's loopback, and to the container's own address.
    let forged = format!(
        "ip addr flush dev lo; ip route flush table local root 127.0.0.0/8; ip route add 127.0.0.1 via {HOST}; \
         ip route add 172.17.0.0/16 via {HOST}; echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet"
    );
    shell(&client.namespace(), &forged).ok();
    assert_eq!(client.get("--interface lan http://127.0.0.1:8081"), "");
    assert_eq!(client.get("http://172.17.0.2:80"), "");
    assert_eq!(client.get("http://192.0.2.10:8080").trim(), "hello", "the cable is still good");

    let taken = engine.docker(["run", "--name", "late", "-p", "8080:80", "busybox", "true"]).failed();
    assert!(taken.contains("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{taken}");
    assert_eq!(engine.inspect("late", "{{.State.Status}}"), "created", "it never ran");
    let bound = shell(&host(&engine), "busybox nc -l -p 8080").failed();
    assert!(bound.contains("Address already in use"), "{bound}");
    let mut listener = Command::new("nsenter");
    listener.arg(format!("--net={}", host(&engine))).args(["busybox", "nc", "-l", "-p", "8082"]);
    let mut listener = listener.stdin(Stdio::null()).spawn().unwrap();
    let listening = "grep -q ' 0*:1F92 ' /proc/net/tcp /proc/net/tcp6 && echo yes || true";
    while shell(&host(&engine), listening).ok() != "yes" {}
    let taken = engine.docker(["run", "--rm", "-p", "8082:80", "busybox", "true"]).failed();
    listener.kill().unwrap();
    listener.wait().unwrap();
    assert!(taken.contains("8082") && taken.contains("address already in use"), "{taken}");
}

#[test]
fn ten_thousand_ports_are_one_element_whether_they_keep_their_numbers_or_not() {
    let engine = Engine::start();
    sleeper(&engine, "same", &["-p", "20000-29999:20000-29999/udp"]);
    sleeper(&engine, "other", &["-p", "30000-39999:40000-49999/udp"]);
    let elements = |map: &str| {
        let listed = shell(&host(&engine), &format!("nft list map inet gantry {map}")).ok();
        listed.matches("udp . ").count()
    };
    assert_eq!([elements("range4"), elements("shift4"), elements("shift4_last")], [1, 1, 1]);
    let ports = engine.docker(["ps", "--format", "{{.Ports}}", "-f", "name=other"]).ok();
    assert!(ports.contains("0.0.0.0:39999->49999/udp"), "{ports}");
    engine.docker(["rm", "-f", "same", "other"]).ok();
    assert_eq!([elements("range4"), elements("shift4"), elements("shift4_last")], [0, 0, 0]);
}

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
fn what_cannot_be_is_told_by_its_name() {
    let engine = Engine::start();
    let client = Machine::beside(&engine);
    engine.docker(["network", "create", "--subnet", "10.44.0.0/30", "tiny"]).ok();
    sleeper(&engine, "full", &["--network", "tiny"]);
    for (line, wanted) in [
        ("network create --subnet 10.44.0.0/16 x", "Pool overlaps with other one on this address space"),
        ("network create --subnet 10.300.0.0/24 x", "10.300.0.0/24"),
        ("network create -d macvlan -o parent=eth7 x", "eth7"),
        ("network create -d teapot x", "teapot"),
        ("network create bridge", "operation is not permitted on predefined bridge network"),
        ("network create tiny", "network with name tiny already exists"),
        ("network rm host", "host is a pre-defined network and cannot be removed"),
        ("network rm nowhere", "network nowhere not found"),
        ("run --rm --network nowhere busybox true", "network nowhere not found"),
        (
            "run --rm --network tiny busybox true",
            "no available IPv4 addresses on this network's address pools: tiny",
        ),
        (
            "run --rm --network tiny --ip 10.45.0.1 busybox true",
            "no configured subnet or ip-range contain the IP address 10.45.0.1",
        ),
        (
            "run --rm --ip 172.17.0.9 busybox true",
            "user specified IP address is supported on user defined networks only",
        ),
        (
            "run --rm --network container:full -p 80:80 busybox true",
            "port publishing and the container type network mode",
        ),
        ("run --rm -p 203.0.113.9:80:80 busybox true", "cannot assign requested address"),
        ("network connect host full", "container must be created in host network mode"),
        ("network ls -f teapot=1", "invalid filter"),
    ] {
        let said = engine.docker(line.split_whitespace()).failed();
        assert!(said.contains(wanted), "{line}: {said}");
    }
    let standing = shell(&host(&engine), "ip -o link show type veth").ok();
    assert_eq!(standing.lines().count(), 2, "the cable and one container: {standing}");
    drop(client);
}

#[test]
fn the_flags_of_the_default_bridge_are_heard() {
    let mut engine = Engine::with(
        &"--bip 10.50.0.1/24 --fixed-cidr 10.50.0.128/25 --default-gateway 10.50.0.77 --mtu 1300 --ip 127.0.0.1 --icc=false \
          --dns 9.9.9.9 --dns-opt timeout:2 --dns-search corp.example --userland-proxy=false --default-address-pool \
          base=10.200.0.0/16,size=24"
            .split_whitespace()
            .collect::<Vec<_>>(),
    );
    shell(&host(&engine), "ip link set lo up").ok();
    run(
        &engine,
        "db",
        &["--expose", "80", "-p", "8080:80"],
        &["sh", "-c", "mkdir /w; echo hello > /w/index.html; httpd -p 81 -h /w; exec httpd -f -p 80 -h /w"],
    );
    assert_eq!(engine.docker(["port", "db"]).ok(), "80/tcp -> 127.0.0.1:8080");
    assert_eq!(engine.inspect("db", "{{.NetworkSettings.IPAddress}}"), "10.50.0.128");
    let inside =
        engine.docker(["exec", "db", "sh", "-c", "ip addr show eth0; ip route; cat /etc/resolv.conf"]).ok();
    for wanted in [
        "10.50.0.128/24",
        "mtu 1300",
        "default via 10.50.0.77",
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
    engine.docker(["network", "create", "pool"]).ok();
    assert_eq!(
        engine.docker(["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "pool"]).ok(),
        "10.200.0.0/24"
    );
    assert_eq!(engine.stop(), 0);
}

#[test]
fn a_bridge_of_the_hosts_own_holds_its_interface_and_the_containers() {
    let mut engine = Engine::start();
    let client = Machine::beside(&engine);
    let host = host(&engine);
    let begin = format!(
        "ip link add mine type bridge; ip link set mine up; ip addr del {HOST}/24 dev lan; ip link set lan master mine; \
         ip addr add {HOST}/24 dev mine; ip addr add 10.60.0.1/24 dev mine"
    );
    shell(&host, &begin).ok();
    // Another engine of the same folder in the same namespace, with the bridge as its default.
    let held = std::fs::File::open(&host).unwrap();
    assert_eq!(engine.stop(), 0);
    let held = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    engine.relaunch_in(&held, &["-b", "mine", "--fixed-cidr", "192.0.2.128/26"]);
    web(&engine, "web", &[]);
    assert_eq!(engine.inspect("web", "{{.NetworkSettings.IPAddress}}"), "192.0.2.128");
    assert_eq!(client.get("http://192.0.2.128").trim(), "hello", "the container is on the host's own wire");
    assert_eq!(engine.docker(["exec", "web", "ping", "-c", "1", "-W", "3", CLIENT]).code, 0);
    engine.stop();
    engine.relaunch_in(&held, &[]);
    let kept = shell(&held, "ip -o addr show mine").ok();
    assert!(kept.contains(HOST) && kept.contains("10.60.0.1"), "the host's bridge stays the host's: {kept}");
}

#[test]
fn interfaces_are_plumbed_by_hand_as_the_book_does_and_by_pipework() {
    let engine = Engine::start();
    let client = Machine::beside(&engine);
    for name in ["a1", "b1"] {
        sleeper(&engine, name, &["--network", "none"]);
    }
    let pid = |name: &str| engine.inspect(name, "{{.State.Pid}}");
    let (a, b) = (pid("a1"), pid("b1"));
    // The book's cable from point to point, with the containers' namespaces by their processes.
    let cable = format!(
        "ip link add A type veth peer name B; ip link set A netns {a}; ip link set B netns {b}; \
         nsenter -t {a} -n sh -ec 'ip addr add 10.1.1.1/32 dev A; ip link set A up; ip route add 10.1.1.2/32 dev A'; \
         nsenter -t {b} -n sh -ec 'ip addr add 10.1.1.2/32 dev B; ip link set B up; ip route add 10.1.1.1/32 dev B'"
    );
    shell(&host(&engine), &cable).ok();
    let pings =
        |from: &str, to: &str| engine.docker(["exec", from, "ping", "-c", "1", "-W", "3", to]).code == 0;
    assert!(pings("a1", "10.1.1.2"));

    let pipework = engine.path("pipework");
    std::os::unix::fs::symlink(gantry(), &pipework).unwrap();
    let plumb = |line: &str| {
        let mut command = Command::new(&pipework);
        command
            .args(line.split_whitespace())
            .env("DOCKER_HOST", format!("unix://{}", engine.path("gantry.sock").display()));
        let output = command.output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    };
    let inside = |name: &str, line: &str| engine.docker(["exec", name, "sh", "-c", line]).ok();
    plumb("br1 a1 192.168.1.1/24").ok();
    plumb("br1 -i eth2 -l loc0 b1 192.168.1.2/24@192.168.1.254 02:00:00:00:00:99").ok();
    assert!(pings("a1", "192.168.1.2"));
    assert!(inside("b1", "ip addr show eth2").contains("02:00:00:00:00:99"));
    assert!(inside("b1", "ip route").contains("default via 192.168.1.254 dev eth2"));
    assert!(shell(&host(&engine), "ip -o link show master br1").ok().contains("loc0@"));
    // On a physical interface: a machine of its own on the wire.
    plumb("lan -i wire a1 192.0.2.77/24@192.0.2.20 U:web").ok();
    assert!(pings("a1", CLIENT));
    assert_eq!(shell(&client.namespace(), "busybox ping -c 1 -W 3 192.0.2.77 >/dev/null").code, 0);
    plumb("route a1 add 10.9.0.0/16 via 192.168.1.2").ok();
    assert!(inside("a1", "ip route").contains("10.9.0.0/16 via 192.168.1.2 dev eth1"));
    plumb("route a1 del 10.9.0.0/16").ok();
    assert!(!inside("a1", "ip route").contains("10.9.0.0/16"));
    engine.docker(["create", "--name", "rests", "busybox"]).ok();
    for (line, wanted) in [
        ("br1 a1 192.168.1.9/24", "the container has an interface eth1 already"),
        ("br1 -i e3 a1 192.168.1.9", "did you mean 192.168.1.9/24?"),
        ("br1 -i e3 a1 192.168.1.9/24 @10", "a VLAN tag needs a physical interface"),
        ("eth9 -i e3 a1 192.168.1.9/24", "interface eth9 not found on this host"),
        ("br1 -i e3 a1 dhcp", "does not ask DHCP servers"),
        ("tc a1 qdisc add dev eth1 root netem loss 30%", "does not do tc"),
        ("br1 nobody 10.0.0.1/24", "No such container: nobody"),
        ("br1 rests 10.0.0.1/24", "non running container"),
    ] {
        let said = plumb(line).failed();
        assert!(said.contains(wanted), "{line}: {said}");
    }
    assert_eq!(inside("a1", "ip -o link | wc -l").trim(), "4", "nothing is left of what failed");
    // Inside a container: until the interface has a carrier.
    let wait = format!(
        "mount -t sysfs none /sys; (ip link add eth1 type veth peer name x; ip link set x up; ip link set eth1 up) & {} --wait; cat /sys/class/net/eth1/carrier",
        pipework.display()
    );
    let waited = Command::new("unshare").args(["--net", "--mount", "sh", "-ec", &wait]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&waited.stdout).trim(), "1", "{waited:?}");
}

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
    let left = shell(&held, &left.replace("{}", &engine.path("run").display().to_string())).ok();
    assert_eq!(left, "", "nothing is left");
}
