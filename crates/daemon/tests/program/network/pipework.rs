//! pipework's README, form by form, by a link to our program of that name.

use super::*;

/// The engine's host with another machine on its interface `lan`, and pipework.
struct Place {
    engine: Engine,
    client: Machine,
}

impl Place {
    fn new() -> Place {
        let engine = Engine::start();
        std::os::unix::fs::symlink(gantry(), engine.path("pipework")).unwrap();
        let client = Machine::beside(&engine);
        Place { engine, client }
    }

    fn pipework(&self, line: &str) -> Said {
        let mut command = Command::new(self.engine.path("pipework"));
        command.args(line.split_whitespace()).env("DOCKER_HOST", self.engine.host());
        let output = command.output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn on_host(&self, line: &str) -> String {
        shell(&host(&self.engine), line).ok()
    }

    fn inside(&self, name: &str, line: &str) -> String {
        self.engine.docker(["exec", name, "sh", "-c", line]).ok()
    }

    #[track_caller]
    fn has(&self, name: &str, line: &str, wanted: &str) {
        let said = self.inside(name, line);
        assert!(said.contains(wanted), "{line}: no {wanted} in {said}");
    }

    #[track_caller]
    fn reaches(&self, name: &str, address: &str) {
        let said = self.engine.docker(["exec", name, "ping", "-c", "1", "-W", "10", address]);
        assert_eq!(said.code, 0, "{name} to {address}: {said:?}");
    }
}

#[test]
fn the_readmes_bridges_addresses_names_and_gateways() {
    let place = Place::new();
    for name in ["apache", "mysql", "hipache", "late"] {
        sleeper(&place.engine, name, &[]);
    }
    // A private network between two containers; the container may be named by its id.
    let id = place.engine.inspect("apache", "{{.Id}}");
    place.pipework(&format!("br1 {id} 192.168.1.1/24")).ok();
    place.pipework("br1 mysql 192.168.1.2/24").ok();
    place.reaches("apache", "192.168.1.2");
    // Peeking inside it.
    place.on_host("ip addr add 192.168.1.254/24 dev br1; busybox ping -c 1 -W 10 192.168.1.1");
    // A name inside, and one on the host.
    place.pipework("br1 -i eth2 apache 192.168.2.1/24").ok();
    place.pipework("br1 -i eth2 -l hostapp1 mysql 192.168.2.2/24").ok();
    assert!(place.on_host("ip -o link show master br1").contains("hostapp1@"));
    place.reaches("apache", "192.168.2.2");
    // Another length of the network, a default gateway.
    place.pipework("br1 -i eth3 mysql 192.168.4.25/20@192.168.4.1").ok();
    place.has("mysql", "ip addr show eth3", "192.168.4.25/20");
    place.has("mysql", "ip route", "default via 192.168.4.1 dev eth3");
    assert_eq!(place.inside("mysql", "ip route | grep -c default").trim(), "1", "it is the only one");
    // One outside the address's own network.
    place.pipework("br1 -i eth4 late 192.168.5.1/32@192.168.4.1").ok();
    place.has("late", "ip route", "default via 192.168.4.1 dev eth4");
    // No address, which the container sets itself.
    place.pipework("br1 hipache 0/0").ok();
    assert!(!place.inside("hipache", "ip addr show eth1").contains("inet "));
    place.has("hipache", "ip link show eth1", "LOWER_UP");
    // A dummy.
    place.pipework("dummy0 hipache -i eth9 192.168.21.101/24@192.168.21.1").failed();
    let known = shell(&host(&place.engine), "ip link add probe type dummy && ip link del probe").code == 0;
    let dummy = place.pipework("dummy0 -i eth9 hipache 192.168.21.101/24@192.168.21.1");
    if known {
        dummy.ok();
        place.has("hipache", "ip addr show eth9", "192.168.21.101/24");
        place.has("hipache", "ip route", "default via 192.168.21.1 dev eth9");
    } else {
        assert!(dummy.failed().contains("module dummy"), "the module is named");
    }
    assert!(!place.on_host("ip -o link").contains("dummy"), "nothing of it is on the host");
    // IPv6.
    place.pipework("br1 -i eth6 apache fd00:6::1/64").ok();
    place.pipework("br1 -i eth6 mysql fd00:6::2/64").ok();
    place.has("apache", "ip addr show eth6", "fd00:6::1/64");
    // What a container had goes with it.
    place.engine.docker(["rm", "-f", "apache", "mysql", "hipache", "late"]).ok();
    let begun = std::time::Instant::now();
    while !place.on_host("ip -o link show master br1").is_empty() {
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[test]
fn the_readmes_physical_interfaces_hardware_addresses_tags_and_routes() {
    let place = Place::new();
    for name in ["hipache", "haproxy", "zerorpcworker", "itself"] {
        sleeper(&place.engine, name, &["--network", "none"]);
    }
    // A macvlan on a physical interface, several containers on one; a hardware address, one that follows from a text.
    place.pipework("lan hipache 192.0.2.31/24").ok();
    place.pipework("lan haproxy 192.0.2.32/24 26:2e:71:98:60:8f").ok();
    place.pipework("lan zerorpcworker 192.0.2.33/24 U:zerorpc").ok();
    place.has("haproxy", "ip link show eth1", "26:2e:71:98:60:8f");
    for name in ["hipache", "haproxy", "zerorpcworker"] {
        place.reaches(name, CLIENT);
    }
    place.reaches("hipache", "192.0.2.32");
    // The interface by its hardware address; itself in place of a macvlan.
    let wire = place.on_host("cat /sys/class/net/lan/address || ip -o link show lan");
    let mac = wire.split_whitespace().find(|word| word.matches(':').count() == 5).unwrap().to_owned();
    place.pipework(&format!("mac:{mac} -i eth2 hipache 192.0.2.34/24")).ok();
    place.has("hipache", "ip addr show eth2", "192.0.2.34/24");
    place.on_host("ip link add spare type veth peer name far; ip link set far up");
    place.pipework("--direct-phys spare itself 10.3.0.1/24").ok();
    place.has("itself", "ip addr show eth1", "10.3.0.1/24");
    assert!(!place.on_host("ip -o link").contains(" spare@"));
    // A tag, where the kernel has VLANs; on a bridge it is refused as by pipework.
    let vlan =
        shell(&host(&place.engine), "ip link add link lan name lan.9 type vlan id 9 && ip link del lan.9");
    let tagged = place.pipework("lan -i eth3 haproxy 10.4.0.1/24 @10");
    match vlan.code {
        0 => drop(tagged.ok()),
        _ => assert!(tagged.failed().contains("module 8021q"), "the module is named"),
    }
    let refused = place.pipework("br1 -i eth8 haproxy 192.168.1.9/24 @10").failed();
    assert!(refused.contains("a VLAN tag needs a physical interface"), "{refused}");
    // Routes.
    place.pipework("route hipache add 10.0.5.6/24 via 192.0.2.20").ok();
    place.has("hipache", "ip route", "10.0.5.0/24 via 192.0.2.20");
    place.pipework("route hipache replace default via 192.0.2.20").ok();
    place.has("hipache", "ip route", "default via 192.0.2.20");
    place.pipework("route hipache replace default via 192.0.2.10").ok();
    place.has("hipache", "ip route", "default via 192.0.2.10");
    place.pipework("route hipache del 10.0.5.0/24").ok();
    assert_eq!(shell(&place.client.namespace(), "busybox ping -c 1 -W 10 192.0.2.31 >/dev/null").code, 0);
    // What we do not do says what does.
    for (line, wanted) in [
        ("lan hipache dhcp", "does not ask DHCP servers"),
        ("lan hipache dhcp fa:de:b0:99:52:1c", "does not ask DHCP servers"),
        ("lan hipache udhcpc", "does not ask DHCP servers"),
        ("lan hipache dhclient-f", "does not ask DHCP servers"),
        ("lan hipache dhcp:R @10", "does not ask DHCP servers"),
        ("rule hipache add from 172.19.0.2/32 table 1", "does not do rule"),
        ("tc hipache qdisc add dev eth1 root netem loss 30%", "does not do tc"),
        ("ovsbr0 hipache 192.168.1.2/24", "Open vSwitch"),
        ("lan -i eth5 hipache 50.19.169.157", "did you mean 50.19.169.157/24?"),
        ("eth7 -i eth5 hipache 10.0.0.1/24", "interface eth7 not found on this host"),
    ] {
        let said = place.pipework(line).failed();
        assert!(said.contains(wanted), "{line}: {said}");
    }
}
