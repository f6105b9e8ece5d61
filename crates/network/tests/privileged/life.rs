//! Crashes, restarts, and many lives.

use gantry_network::*;

use crate::machines::*;
use crate::names::ask;

#[test]
fn after_a_kill_traffic_flows_and_a_restart_repairs_and_clears_away() {
    on_host(|world| {
        user_network(world, "app");
        let web = world.run("web", "bridge", web());
        let db = world.run("db", "app", vec![]);
        let gone = world.run("gone", "bridge", vec![publish(None, HostPort::From(9090), 80, 1)]);
        web.serve(80);
        // Half a life: a namespace and a cable end that no row knows.
        let orphan = world.dir.path().join("netns").join("0123456789ab");
        gantry_netlink::Namespace::create(&orphan, || Ok(())).unwrap();
        // Damage while nobody looked: the database lost its cable.
        let mut link = gantry_netlink::Socket::open(gantry_netlink::Service::Route).unwrap();
        link.delete_link(&db.endpoints[0].host_interface).unwrap();
        world.networks.shutdown(false).unwrap();
        call(&world.client, ip(HOST), WEB).expect("nobody is needed for packets to flow");

        let (networks, restored) = world.restarted(&[&web, &db]);
        assert_eq!((restored.kept.len(), restored.removed.len()), (2, 1));
        assert_eq!(restored.removed, std::slice::from_ref(&gone.id));
        assert!(restored.broken.is_empty(), "{restored:?}");
        assert!(restored.orphans.iter().any(|orphan| orphan.ends_with("0123456789ab")));
        call(&world.client, ip(HOST), WEB).unwrap();
        assert!(call(&world.client, ip(HOST), 9090).is_err());
        db.serve(5432);
        call(&host(), db.address(), 5432).expect("the cable is back");
        assert_eq!(ask(&db.namespace, "db", dns::message::A, false), Ok(vec![db.address()]));
        assert!(std::net::TcpListener::bind(("0.0.0.0", WEB)).is_err(), "the port is kept again");
        assert_eq!(networks.endpoints_of(&web.id), web.endpoints);
        networks.remove_sandbox(&web.id).unwrap();
        networks.remove_sandbox(&db.id).unwrap();
        networks.remove("app").unwrap();
        networks.shutdown(true).unwrap();
    });
}

#[test]
fn many_lives_leave_nothing() {
    let cycles = std::env::var("GANTRY_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    on_host(|world| {
        let mut nft = gantry_netlink::Socket::open(gantry_netlink::Service::Netfilter).unwrap();
        let mut count = || {
            let sets = firewall::rules::SETS.iter().filter(|set| **set != "quiet");
            sets.map(|set| nft.elements(firewall::rules::TABLE, set).unwrap().len()).sum::<usize>()
        };
        let before = count();
        let mut marks = vec![std::time::Instant::now()];
        for turn in 0..cycles {
            let name = format!("n{turn}");
            user_network(world, &name);
            let container = world.run("c", &name, vec![publish(None, HostPort::Any, 80, 1)]);
            world.networks.connect(&container.id, &[endpoint("bridge")]).unwrap();
            world.networks.remove_sandbox(&container.id).unwrap();
            world.networks.remove(&name).unwrap();
            if (turn + 1) % 100 == 0 {
                marks.push(std::time::Instant::now());
            }
        }
        for pair in marks.windows(2) {
            eprintln!("a hundred lives: {:?}", pair[1] - pair[0]);
        }
        assert_eq!(count(), before);
        assert_eq!(std::fs::read_dir(world.dir.path().join("netns")).unwrap().count(), 0);
        let kept = world.records.load().unwrap();
        assert!(kept.endpoints.is_empty() && kept.sandboxes.is_empty());
        assert_eq!(kept.networks.len(), 3);
        let mut link = gantry_netlink::Socket::open(gantry_netlink::Service::Route).unwrap();
        let bridges = link.links().unwrap().into_iter().filter(|link| link.kind == "bridge").count();
        assert_eq!(bridges, 1);
        // The kernel takes its time with the cables; it is asked, not waited for by the clock.
        loop {
            let left = link.links().unwrap().into_iter().filter(|link| link.name.starts_with("veth")).count();
            if left == 0 {
                break;
            }
            std::thread::yield_now();
        }
        assert_eq!(world.run("c", "bridge", vec![]).address(), ip("172.17.0.2"));
    });
}

#[test]
fn a_second_engine_in_one_network_namespace_is_refused_with_who_the_first_is() {
    on_host(|world| {
        let dir = tempfile::tempdir().unwrap();
        let second = |settings: &dyn Fn(&mut Config)| {
            let mut config = config(dir.path(), &world.runtime);
            settings(&mut config);
            Networks::open(config, std::sync::Arc::new(Memory::default()))
        };
        let own = std::process::id();
        let told = second(&|_| ()).err().unwrap().to_string();
        assert!(
            told.starts_with(&format!("another engine (process {own}) keeps the packet rules of this host")),
            "{told}"
        );
        let told = second(&|config| config.firewall = Firewall::None).err().unwrap().to_string();
        assert!(told.contains("keeps the bridge gantry0 of this host"), "{told}");
        let other = second(&|config| {
            config.firewall = Firewall::None;
            config.default_bridge.name = "docker0".into();
        });
        other.unwrap().shutdown(true).unwrap();
        // The first one's rules have suffered nothing.
        let web = world.run("web", "bridge", web());
        web.serve(80);
        call(&world.client, ip(HOST), WEB).unwrap();
        world.networks.shutdown(false).unwrap();
        second(&|_| ()).unwrap().shutdown(true).unwrap();
    });
}
