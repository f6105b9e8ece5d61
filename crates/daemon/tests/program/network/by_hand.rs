//! Bridges and interfaces by hand, and the book's commands as typed.

use super::*;

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

/// Types lines as a person at the engine's host does: `docker` is Docker's client on this engine, `/var/run/netns` is this
/// shell's own.
fn types(engine: &Engine, lines: &str) -> Said {
    let begin = format!(
        "mount --make-rprivate /; mkdir -p /run/netns; mount -t tmpfs none /run/netns; PATH={}:$PATH; \
         brctl() {{ busybox brctl \"$@\"; }}\n",
        engine.path("typed").display()
    );
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", host(engine))).args(["unshare", "--mount", "--", "bash", "-ec"]);
    command
        .arg(begin + lines)
        .stdin(Stdio::null())
        .env("DOCKER_HOST", engine.host())
        .env("HOME", engine.path("home"));
    std::fs::create_dir_all(engine.path("typed")).unwrap();
    let pipework = engine.path("typed").join("pipework");
    if !pipework.exists() {
        std::os::unix::fs::symlink(gantry(), pipework).unwrap();
    }
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_books_cable_between_two_containers_of_no_network() {
    let engine = Engine::start();
    let typed = r#"
        docker run -i -t -d --rm --net=none --name one busybox sh >/dev/null
        docker run -i -t -d --rm --net=none --name two busybox sh >/dev/null
        first=$(docker inspect -f '{{.State.Pid}}' one); second=$(docker inspect -f '{{.State.Pid}}' two)
        mkdir -p /var/run/netns
        ln -s /proc/$first/ns/net /var/run/netns/$first
        ln -s /proc/$second/ns/net /var/run/netns/$second
        ip link add A type veth peer name B
        ip link set A netns $first
        ip netns exec $first ip addr add 10.1.1.1/32 dev A
        ip netns exec $first ip link set A up
        ip netns exec $first ip route add 10.1.1.2/32 dev A
        ip link set B netns $second
        ip netns exec $second ip addr add 10.1.1.2/32 dev B
        ip netns exec $second ip link set B up
        ip netns exec $second ip route add 10.1.1.1/32 dev B
        docker exec one ping -c 1 -W 5 10.1.1.2
        docker exec two ping -c 1 -W 5 10.1.1.1
        # The chapter before: what the engine does for a container of the default bridge, by hand.
        docker run -d --net=none --name three busybox sleep 1000 >/dev/null
        pid=$(docker inspect -f '{{.State.Pid}}' three)
        ln -s /proc/$pid/ns/net /var/run/netns/$pid
        ip addr show gantry0
        ip link add C type veth peer name D
        brctl addif gantry0 C
        ip link set C up
        ip link set D netns $pid
        ip netns exec $pid ip link set dev D name eth0
        ip netns exec $pid ip link set eth0 up
        ip netns exec $pid ip addr add 172.17.42.99/16 dev eth0
        ip netns exec $pid ip route add default via 172.17.0.1
        docker run --rm busybox ping -c 1 -W 5 172.17.42.99
        bridge link show"#;
    let said = types(&engine, typed).ok();
    assert_eq!(said.matches("1 packets received").count(), 3, "{said}");
    assert!(said.contains("master gantry0"), "{said}");
}

#[test]
fn the_books_chains_are_seen_with_the_iptables_backend() {
    let engine = Engine::with(&["--firewall-backend=iptables", "--icc=false", "--iptables=true"]);
    let typed = r#"
        ip link set lo up
        sysctl net.ipv4.ip_forward
        docker run -d --name db --expose 80 busybox sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w' >/dev/null
        docker run -d -P --name web --link db:db --expose 5000 busybox sleep 1000 >/dev/null
        docker run -d --name stranger busybox sleep 1000 >/dev/null
        docker port web 5000
        iptables -nL
        iptables -t nat -nL
        docker exec web env
        docker exec web cat /etc/hosts
        iptables -t nat -F; iptables -F"#;
    let said = types(&engine, typed).ok();
    for wanted in [
        "net.ipv4.ip_forward = 1",
        "Chain FORWARD",
        "Chain DOCKER ",
        "Chain DOCKER-USER",
        "tcp dpt:80",
        "tcp spt:80",
        "MASQUERADE",
        "172.17.0.0/16",
        "to:172.17.0.3:5000",
        "DB_PORT_80_TCP=tcp://172.17.0.2:80",
        "172.17.0.2\tdb",
    ] {
        assert!(said.contains(wanted), "{wanted:?} is not in {said}");
    }
    let begun = std::time::Instant::now();
    while !shell(&host(&engine), "iptables -t nat -nL").ok().contains("to:172.17.0.3:5000") {
        assert!(begun.elapsed() < PATIENCE, "a flush is not mended");
    }
    // Where frames inside a bridge pass iptables: the book's hosts, and those with br_netfilter.
    let bridged = shell(&host(&engine), "cat /proc/sys/net/bridge/bridge-nf-call-iptables || true").ok();
    let begun = std::time::Instant::now();
    while fetch(&engine, "web", "172.17.0.2", 80) != "hello" {
        assert!(begun.elapsed() < PATIENCE, "the link opens it");
    }
    assert_eq!(fetch(&engine, "stranger", "172.17.0.2", 80), if bridged == "1" { "" } else { "hello" });
}

#[test]
fn the_books_own_bridge_is_taken_with_b() {
    let mut engine = Engine::start();
    let held = std::fs::File::open(host(&engine)).unwrap();
    let held = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    let bridge = "ip link set dev gantry0 down; busybox brctl delbr gantry0; busybox brctl addbr bridge0; \
                  ip addr add 192.168.5.1/24 dev bridge0; ip link set dev bridge0 up; ip addr show bridge0";
    assert_eq!(engine.stop(), 0);
    assert!(shell(&held, bridge).ok().contains("192.168.5.1/24"));
    engine.relaunch_in(&held, &["-b=bridge0"]);
    let typed = r#"
        docker run --rm busybox sh -c 'ip addr show eth0; ip route; cat /etc/resolv.conf'
        docker run -d --name c1 busybox sleep 1000 >/dev/null
        docker run -d --name c2 busybox sleep 1000 >/dev/null
        pipework br1 c1 192.168.1.1/24
        pipework br1 c2 192.168.1.2/24
        docker exec c1 ping -c 1 -W 5 192.168.1.2
        ip addr show br1"#;
    let said = types(&engine, typed).ok();
    for wanted in ["192.168.5.2/24", "default via 192.168.5.1", "1 packets received"] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
}
