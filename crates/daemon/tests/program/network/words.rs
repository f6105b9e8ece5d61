//! What cannot be, and how it is said.

use super::*;

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
fn pools_that_are_full_and_kernels_that_lack_a_driver_are_told() {
    let engine =
        Engine::with(&["--bip", "10.50.0.1/24", "--default-address-pool", "base=10.200.0.0/24,size=25"]);
    let client = Machine::beside(&engine);
    for name in ["one", "two"] {
        engine.docker(["network", "create", name]).ok();
    }
    let full = engine.docker(["network", "create", "three"]).failed();
    assert!(full.contains("all predefined address pools have been fully subnetted"), "{full}");
    engine.docker(["network", "rm", "one"]).ok();
    engine.docker(["network", "create", "three"]).ok();
    // What a kernel has differs; a refusal names it.
    for (name, line) in [
        ("ipvlan", "network create -d ipvlan --subnet 10.44.0.0/24 -o parent=lan wire"),
        ("VLAN", "network create -d macvlan --subnet 10.45.0.0/24 -o parent=lan.7 tagged"),
    ] {
        let made = engine.docker(line.split_whitespace());
        let ran = engine.docker([
            "run",
            "--rm",
            "--network",
            line.split_whitespace().last().unwrap(),
            "busybox",
            "true",
        ]);
        for said in [made, ran].into_iter().filter(|said| said.code != 0) {
            let known = said.stderr.contains(&format!("this kernel lacks {name}"))
                || said.stderr.contains("not found");
            assert!(known, "{line}: {said:?}");
        }
    }
    drop(client);
}

#[test]
fn none_and_host_are_networks_with_endpoints_as_docker_shows_them() {
    let engine = Engine::start();
    for (name, kind) in [("none", "null"), ("host", "host")] {
        let container = format!("in-{name}");
        sleeper(&engine, &container, &["--network", name]);
        let endpoint =
            engine.inspect(&container, &format!("{{{{.NetworkSettings.Networks.{name}.EndpointID}}}}"));
        assert_eq!(endpoint.len(), 64);
        let format = "{{range .Containers}}{{.Name}} {{.EndpointID}} {{.IPv4Address}}{{end}}";
        let listed = engine.docker(["network", "inspect", "-f", format, name]).ok();
        assert_eq!(listed.trim(), format!("{container} {endpoint}"));
        let key = engine.inspect(&container, "{{.NetworkSettings.SandboxKey}}");
        let own = shell(&host(&engine), &format!("nsenter --net={key} ip -o link | wc -l")).ok();
        let whole = shell(&host(&engine), "ip -o link | wc -l").ok();
        assert_eq!(own == whole, name == "host", "{own} and {whole}");
        let used = engine.docker(["network", "rm", name]).failed();
        assert!(used.contains("is a pre-defined network and cannot be removed"), "{used}");
        engine.docker(["stop", "-t", "0", &container]).ok();
        assert_eq!(
            engine.inspect(&container, &format!("{{{{.NetworkSettings.Networks.{name}.EndpointID}}}}")),
            ""
        );
        assert_eq!(engine.docker(["network", "inspect", "-f", format, name]).ok().trim(), "");
        let format = "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}";
        let words =
            ["events", "--since", "1h", "--until=-1s", "--filter", "type=network", "--format", format];
        let events = engine.docker(words).ok();
        for action in ["connect", "disconnect"] {
            let line = format!("{action} {name} {kind}");
            assert_eq!(events.lines().filter(|said| **said == line).count(), 1, "{events}");
        }
    }
    let said = engine.docker(["network", "disconnect", "host", "in-host"]).failed();
    assert!(said.contains("cannot disconnect container from host network"), "{said}");
}
