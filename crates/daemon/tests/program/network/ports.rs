//! Published ports.

use super::*;

#[test]
fn a_published_port_is_reached_from_everywhere_and_loopback_from_the_host_alone() {
    reached(&Engine::start());
}

#[test]
fn by_iptables_a_published_port_is_reached_from_everywhere_and_loopback_from_the_host_alone() {
    reached(&Engine::with(&["--firewall-backend=iptables"]));
}

fn reached(engine: &Engine) {
    let client = Machine::beside(engine);
    web(engine, "web", &["-p", "8080:80", "-p", "127.0.0.1:8081:80"]);
    let said = engine.docker(["port", "web"]).ok();
    assert_eq!(said, "80/tcp -> 0.0.0.0:8080\n80/tcp -> 127.0.0.1:8081\n80/tcp -> [::]:8080");
    for url in [
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "http://192.0.2.10:8080",
        "http://172.17.0.1:8080",
        "http://[::1]:8080",
    ] {
        assert_eq!(get(&host(engine), url).trim(), "hello", "{url}");
    }
    assert_eq!(client.get("http://192.0.2.10:8080").trim(), "hello");
    let begun = std::time::Instant::now();
    while !engine.docker(["logs", "web"]).stderr.contains(CLIENT) {
        assert!(begun.elapsed() < PATIENCE, "the client's own address is seen inside");
    }
    for (address, port) in [(HOST, 8080), ("172.17.0.1", 8080), ("172.17.0.2", 80)] {
        assert_eq!(
            fetch(engine, "web", address, port),
            "hello",
            "{address}:{port} from the container itself"
        );
    }

    assert_eq!(get(&host(engine), "http://127.0.0.1:8081").trim(), "hello");
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
    let bound = shell(&host(engine), "busybox nc -l -p 8080").failed();
    assert!(bound.contains("Address already in use"), "{bound}");
    let mut listener = Command::new("nsenter");
    listener.arg(format!("--net={}", host(engine))).args(["busybox", "nc", "-l", "-p", "8082"]);
    let mut listener = listener.stdin(Stdio::null()).spawn().unwrap();
    let listening = "grep -q ' 0*:1F92 ' /proc/net/tcp /proc/net/tcp6 && echo yes || true";
    while shell(&host(engine), listening).ok() != "yes" {}
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
fn ipv6_callers_are_served_while_the_engine_is_there_and_again_after_a_crash() {
    let mut engine = Engine::start();
    let client = Machine::beside(&engine);
    for (machine, last) in [(host(&engine), 10), (client.namespace(), 20)] {
        shell(&machine, &format!("ip addr add 2001:db8::{last}/64 dev lan nodad")).ok();
    }
    web(&engine, "web", &["-p", "8080:80"]);
    assert_eq!(
        engine.docker(["ps", "--format", "{{.Ports}}"]).ok(),
        "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    );
    let urls = ["http://[::1]:8080", "http://[2001:db8::10]:8080"];
    let held = std::fs::File::open(host(&engine)).unwrap();
    let held = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    for url in urls {
        assert_eq!(get(&held, url).trim(), "hello", "{url}");
    }
    assert_eq!(client.get(urls[1]).trim(), "hello", "from another machine");
    engine.crash();
    assert_eq!(get(&held, urls[0]), "", "what copies has ended with the engine, as Docker's proxies do");
    assert_eq!(client.get("http://192.0.2.10:8080").trim(), "hello", "what the kernel translates has not");
    engine.relaunch_in(&held, &[]);
    assert_eq!(get(&held, urls[0]).trim(), "hello");
    assert_eq!(client.get(urls[1]).trim(), "hello");
    engine.docker(["rm", "-f", "web"]).ok();
    web(&engine, "web", &["-p", "8080:80"]);
    assert_eq!(client.get(urls[1]).trim(), "hello", "the port is free at once for the next one");
    engine.docker(["rm", "-f", "web"]).ok();
    engine.stop();
    engine.relaunch_in(&held, &["--userland-proxy=false"]);
    web(&engine, "web", &["-p", "8080:80"]);
    assert_eq!(engine.docker(["port", "web"]).ok(), "80/tcp -> 0.0.0.0:8080");
    assert_eq!(get(&held, urls[0]), "");
    assert_eq!(get(&held, "http://localhost:8080").trim(), "hello", "at once by its other address");
}

#[test]
fn of_many_starts_for_one_port_one_wins_and_the_others_are_told() {
    let engine = Engine::start();
    let names: Vec<String> = (0..6).map(|n| format!("rival{n}")).collect();
    let said: Vec<Said> = std::thread::scope(|scope| {
        let runs: Vec<_> = names
            .iter()
            .map(|name| {
                let engine = &engine;
                scope.spawn(move || {
                    engine.docker(["run", "-d", "--name", name, "-p", "8080:80", "busybox", "sleep", "1000"])
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let (won, lost): (Vec<Said>, Vec<Said>) = said.into_iter().partition(|said| said.code == 0);
    assert_eq!((won.len(), lost.len()), (1, 5));
    for said in lost {
        let told = said.failed();
        assert!(told.contains("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{told}");
    }
    let ends = shell(&host(&engine), "ip -o link show master gantry0").ok();
    assert_eq!(ends.lines().count(), 1, "the losers left nothing: {ends}");
}

#[test]
fn the_books_forms_of_publishing() {
    let engine = Engine::start();
    shell(&host(&engine), "ip link set lo up").ok();
    web(&engine, "all", &["--expose", "80", "--expose", "53/udp", "-P"]);
    let ports = engine.docker(["port", "all", "80"]).ok();
    let port = ports.lines().next().unwrap().strip_prefix("0.0.0.0:").unwrap().to_owned();
    assert_eq!(get(&host(&engine), &format!("http://127.0.0.1:{port}")).trim(), "hello");
    assert!(engine.docker(["port", "all", "53/udp"]).ok().starts_with("0.0.0.0:"));
    assert!(engine.docker(["port", "all", "81"]).failed().contains("o public port '81"));
    sleeper(
        &engine,
        "some",
        &[
            "-p",
            "127.0.0.1::5000",
            "-p",
            "127.0.0.1:5001:5000/udp",
            "-p",
            "5002:5000",
            "-p",
            "3000:80",
            "-p",
            "7000-7002:7000-7002",
        ],
    );
    let said = engine.docker(["port", "some"]).ok();
    for wanted in [
        "5000/tcp -> 127.0.0.1:",
        "5000/udp -> 127.0.0.1:5001",
        "5000/tcp -> 0.0.0.0:5002",
        "80/tcp -> [::]:3000",
        "7002/tcp -> 0.0.0.0:7002",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
}
