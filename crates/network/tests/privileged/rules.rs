//! The rules beside those of the host.

use gantry_network::*;

use crate::machines::*;

#[test]
fn a_flush_is_mended_and_the_hosts_own_rules_come_back() {
    use gantry_netlink::nft::{Batch, Rule};
    on_host(|world| {
        let web = world.run("web", "bridge", web());
        web.serve(80);
        let mut nft = gantry_netlink::Socket::open(gantry_netlink::Service::Netfilter).unwrap();
        let (table, chain) = (firewall::rules::TABLE, firewall::rules::USER_CHAIN);
        let mut batch = Batch::new();
        batch.add_rule(
            table,
            chain,
            &Rule::new().source(ip("10.66.0.0"), 16).counter().drop().comment("mine"),
        );
        nft.commit(batch).unwrap();
        let user_rules = |nft: &mut gantry_netlink::Socket| nft.rules(table, chain).unwrap();
        assert_eq!(user_rules(&mut nft).len(), 1);
        let mut ear = gantry_netlink::Socket::nftables_events().unwrap();
        let mut flush = Batch::new();
        flush.delete_table(table);
        nft.commit(flush).unwrap();
        assert!(!nft.has_table(table).unwrap());
        // Wait for what is heard, not for a time.
        while !nft.has_table(table).unwrap() {
            ear.events().unwrap();
        }
        assert_eq!(call(&world.client, ip(HOST), WEB).unwrap(), ip(CLIENT));
        assert_eq!(user_rules(&mut nft)[0].comment().as_deref(), Some("mine"));
        // The engine's next change meets a whole table.
        let other = world.run("other", "bridge", vec![]);
        world.networks.remove_sandbox(&other.id).unwrap();
        world.networks.remove_sandbox(&web.id).unwrap();
    });
}

#[test]
fn a_host_that_drops_forwarded_packets_by_policy_lets_ours_through() {
    use gantry_netlink::nft::{Batch, ChainKind, Family, Hook, HookPoint, Table};
    on_host(|world| {
        let web = world.run("web", "bridge", web());
        web.serve(80);
        let mut nft = gantry_netlink::Socket::open(gantry_netlink::Service::Netfilter).unwrap();
        let filter = Table { family: Family::Ip, name: "filter" };
        let mut batch = Batch::new();
        batch.add_table(filter);
        let hook = Hook { kind: ChainKind::Filter, point: HookPoint::Forward, priority: 0, drop: true };
        batch.add_chain(filter, "FORWARD", Some(hook));
        let mut ear = gantry_netlink::Socket::nftables_events().unwrap();
        nft.commit(batch).unwrap();
        while nft.rules(filter, "FORWARD").unwrap().is_empty() {
            ear.events().unwrap();
        }
        call(&world.client, ip(HOST), WEB).unwrap();
    });
}

#[test]
fn the_iptables_backend_draws_the_books_chains() {
    if std::process::Command::new("iptables").arg("--version").output().is_err() {
        eprintln!("skipped: iptables is not installed");
        return;
    }
    on_host_with(
        |config| config.firewall = Firewall::Iptables,
        |world| {
            let web = world.run("web", "bridge", web());
            web.serve(80);
            assert_eq!(call(&world.client, ip(HOST), WEB).unwrap(), ip(CLIENT));
            call(&host(), ip("127.0.0.1"), WEB).unwrap();
            world.forge("172.17.0.0", 16);
            assert!(call(&world.client, web.address(), 80).is_err());
            let list = || {
                let out = std::process::Command::new("iptables").args(["-t", "nat", "-nL"]).output().unwrap();
                String::from_utf8(out.stdout).unwrap()
            };
            assert!(list().contains("tcp dpt:8080 to:172.17.0.2:80"), "{}", list());
            for table in ["nat", "filter", "raw"] {
                let flushed =
                    std::process::Command::new("iptables").args(["-t", table, "-F"]).status().unwrap();
                assert!(flushed.success());
            }
            patiently(|| list().contains("tcp dpt:8080 to:172.17.0.2:80"));
            patiently(|| call(&world.client, ip(HOST), WEB).is_ok());
            patiently(|| call(&world.client, web.address(), 80).is_err());
            world.networks.remove_sandbox(&web.id).unwrap();
            assert!(!list().contains("8080"));
        },
    );
}
