//! Bridge and user networks, in a network namespace of the test's own.

use gantry_engine::spec::{HostBinding, NetworkMode};
use gantry_engine::{Filters, Networking};
use gantry_errdefs::{Class, Classified};
use gantry_netlink::Namespace;
use gantry_network::{Config, NetworkSpec};

use crate::setup::{Home, open_on};

/// Runs a test with an engine whose host is a fresh network namespace.
fn on_own_host<F: Future<Output = ()>>(body: impl FnOnce(Home) -> F + Send) {
    let host = Namespace::fresh().unwrap();
    // Every thread of this runtime is born inside.
    let inside = host.run(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let run = dir.path().join("run");
            let resolver = dir.path().join("resolv.conf");
            std::fs::write(&resolver, "nameserver 127.0.0.53\n").unwrap();
            let engine = open_on(
                dir.path(),
                |_| (),
                |store| {
                    let mut config = Config::new(run, tokio::runtime::Handle::current());
                    config.resolv_conf = resolver;
                    Networking::open(config, store).unwrap()
                },
            );
            body(Home::of(dir, engine).await).await;
        });
        Ok(())
    });
    inside.unwrap();
}

#[test]
fn the_default_bridge_gives_an_address_a_route_and_files() {
    on_own_host(async |home| {
        let command = "cat /etc/hosts; cat /proc/net/route; hostname";
        let (code, text) =
            home.output(&["sh", "-c", command], |spec| spec.network_mode = NetworkMode::Default).await;
        assert_eq!(code, 0);
        assert!(text.contains("eth0") && text.contains("localhost"), "{text}");
        let id = home.run(&["sleep", "1000"], |spec| spec.network_mode = NetworkMode::Default).await;
        let shown = home.engine.container_inspect(&id, false).await.unwrap().record;
        assert_eq!(shown.spec.network_mode, NetworkMode::Named("bridge".into()));
        let address = shown.network.endpoints["bridge"].ipv4.unwrap().to_string();
        assert!(home.exec(&id, &["cat", "/etc/hosts"]).await.contains(&address));
        home.engine.container_stop(&id, None, Some(0)).await.unwrap();
        let stopped = home.engine.container_inspect(&id, false).await.unwrap().record;
        assert_eq!(stopped.network.endpoints["bridge"].ipv4, None);
        home.close().await;
    });
}

#[test]
fn a_user_network_is_made_joined_left_and_removed() {
    on_own_host(async |home| {
        let spec = NetworkSpec { name: "own".into(), ..NetworkSpec::default() };
        home.engine.network_create(spec).await.unwrap();
        let own = || NetworkMode::Named("own".into());
        let server = home
            .run(&["nc", "-ll", "-p", "80", "-e", "echo", "served"], |spec| spec.network_mode = own())
            .await;
        let shown = home.engine.container_inspect(&server, false).await.unwrap().record;
        let address = shown.network.endpoints["own"].ipv4.unwrap().to_string();
        let ask = format!("until nc {address} 80; do sleep 0.1; done");
        let (_, text) = home.output(&["sh", "-c", &ask], |spec| spec.network_mode = own()).await;
        assert_eq!(text, "served\n");

        let busy = home.engine.network_remove("own").await.unwrap_err();
        assert!(busy.to_string().contains("has active endpoints"), "{busy}");
        home.engine.network_connect("bridge", &server, Default::default()).await.unwrap();
        let both = home.engine.container_inspect(&server, false).await.unwrap().record;
        assert_eq!(both.network.endpoints.len(), 2);
        assert!(home.exec(&server, &["cat", "/proc/net/dev"]).await.contains("eth1"));
        home.engine.network_disconnect("own", &server, false).await.unwrap();
        let twice = home.engine.network_disconnect("own", &server, false).await.unwrap_err();
        assert!(twice.to_string().ends_with("is not connected to network own"), "{twice}");
        assert_eq!(home.engine.network_prune(Filters::new()).await.unwrap(), ["own"]);
        assert_eq!(home.engine.network_inspect("own").await.unwrap_err().class(), Class::NotFound);
        home.close().await;
    });
}

#[test]
fn ports_are_published_shown_and_exclusive() {
    on_own_host(async |home| {
        let publish = |spec: &mut gantry_engine::spec::ContainerSpec| {
            spec.network_mode = NetworkMode::Default;
            let binding = HostBinding { ip: None, ports: Some((8080, 8080)) };
            spec.port_bindings.insert("80/tcp".parse().unwrap(), vec![binding]);
        };
        let id = home.run(&["sleep", "1000"], publish).await;
        let shown = home.engine.container_inspect(&id, false).await.unwrap().record;
        let bound = &shown.network.ports[&"80/tcp".parse().unwrap()];
        assert!(bound.iter().all(|binding| binding.ports == Some((8080, 8080))), "{bound:?}");
        let second = home.create(&["sleep", "1000"], publish).await;
        let err = home.engine.container_start(&second).await.unwrap_err();
        assert!(err.to_string().contains("port is already allocated"), "{err}");
        home.engine.container_remove(&id, true, false, false).await.unwrap();
        home.engine.container_start(&second).await.unwrap();
        home.close().await;
    });
}

#[test]
fn a_namespace_survives_its_owners_restart() {
    on_own_host(async |home| {
        let owner = home.run(&["sleep", "1000"], |spec| spec.network_mode = NetworkMode::Default).await;
        let guest = home
            .run(&["sleep", "1000"], |spec| spec.network_mode = NetworkMode::Container(owner.clone()))
            .await;
        let before = home.exec(&guest, &["cat", "/proc/net/fib_trie"]).await;
        home.engine.container_restart(&owner, None, Some(0)).await.unwrap();
        let own = home.exec(&owner, &["cat", "/proc/net/fib_trie"]).await;
        let after = home.exec(&guest, &["cat", "/proc/net/fib_trie"]).await;
        assert_eq!((&before, &own), (&after, &after));
        home.close().await;
    });
}
