//! kill -9 between a row and what it says: at every row that a verb writes, before it is on disk and after. What stands in the
//! kernel by then may be anything, so each is tried with all of it, without the rules, and without the bridge.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gantry_names::ContainerId;
use gantry_netlink::nft::Batch;
use gantry_netlink::{Service, Socket};
use gantry_network::*;

use crate::machines::*;

/// Rows whose owner is killed at the n-th of its writes.
struct Mortal {
    rows: Arc<Memory>,
    left: AtomicUsize,
    written: bool,
}

impl Records for Mortal {
    fn load(&self) -> Result<Kept, RecordsError> {
        self.rows.load()
    }

    fn write(&self, changes: &[Change]) -> Result<(), RecordsError> {
        // It wraps at the end of its life: nothing is written after a kill.
        match self.left.fetch_sub(1, Ordering::Relaxed) {
            0 => {
                if self.written {
                    self.rows.write(changes)?;
                }
                resume_unwind(Box::new("killed"))
            }
            _ => self.rows.write(changes),
        }
    }
}

/// What stands when a verb begins: a neighbour that must not suffer, and who it happens to.
struct Scene<'a> {
    world: &'a World,
    neighbour: Container,
    victim: Container,
}

type Verb = fn(&Scene<'_>, &Networks);

const PORT: u16 = 9090;

fn victims_port() -> Vec<PortBinding> {
    vec![publish(None, HostPort::From(PORT), 80, 1)]
}

fn create(_: &Scene<'_>, networks: &Networks) {
    networks.create(NetworkSpec { name: "new".into(), ..NetworkSpec::default() }).unwrap();
}

fn remove(_: &Scene<'_>, networks: &Networks) {
    networks.remove("empty").unwrap();
}

fn join(scene: &Scene<'_>, networks: &Networks) {
    networks.connect(&scene.victim.id, &[endpoint("empty")]).unwrap();
}

fn leave(scene: &Scene<'_>, networks: &Networks) {
    networks.disconnect(&scene.victim.id, "app").unwrap();
}

fn stop(scene: &Scene<'_>, networks: &Networks) {
    networks.remove_sandbox(&scene.victim.id).unwrap();
}

fn start(scene: &Scene<'_>, networks: &Networks) {
    let spec = scene.world.spec("starting", vec![publish(None, HostPort::From(7070), 80, 1)]);
    let id = spec.container.clone();
    networks.create_sandbox(spec).unwrap();
    networks.connect(&id, &[endpoint("app"), endpoint("bridge")]).unwrap();
}

/// Damage beside the kill: a machine that was restarted as well, or somebody's flush, or a deed that had not begun.
const DAMAGES: [&str; 3] = ["none", "rules", "bridge"];

fn damage(kind: &str, bridge: &str) {
    match kind {
        "rules" => {
            let mut batch = Batch::new();
            batch.delete_table(firewall::rules::TABLE);
            Socket::open(Service::Netfilter).unwrap().commit(batch).unwrap();
        }
        "bridge" => Socket::open(Service::Route).unwrap().delete_link(bridge).unwrap(),
        _ => {}
    }
}

/// One kill; false when the verb came to its end before it.
fn killed_at(verb: Verb, lives: bool, write: usize, written: bool, kind: &str) -> bool {
    let mut killed = false;
    on_host(|world| {
        user_network(world, "empty");
        let app = user_network(world, "app");
        let neighbour = world.run("neighbour", "bridge", web());
        let victim = world.run("victim", "app", victims_port());
        neighbour.serve(80);
        victim.serve(80);
        let scene = Scene { world, neighbour, victim };
        world.networks.shutdown(false).unwrap();
        let mortal = Mortal { rows: Arc::clone(&world.records), left: AtomicUsize::new(usize::MAX), written };
        let mortal = Arc::new(mortal);
        let config = || config(world.dir.path(), &world.runtime);
        let networks = Networks::open(config(), Arc::clone(&mortal) as Arc<dyn Records>).unwrap();
        networks.restore(&[&scene.neighbour, &scene.victim].map(|one| one.id.clone()).into()).unwrap();
        mortal.left.store(write, Ordering::Relaxed);
        killed = catch_unwind(AssertUnwindSafe(|| verb(&scene, &networks))).is_err();
        mortal.left.store(usize::MAX, Ordering::Relaxed);
        networks.shutdown(false).unwrap();
        drop(networks);
        damage(kind, &app.interface);
        after(&scene, lives, &format!("write {write}, on disk: {written}, damage: {kind}"));
    });
    killed
}

/// What must hold after the next start, whatever was cut.
fn after(scene: &Scene<'_>, lives: bool, when: &str) {
    let world = scene.world;
    let records = Arc::clone(&world.records) as Arc<dyn Records>;
    let networks = Networks::open(config(world.dir.path(), &world.runtime), records).unwrap();
    let mut live: Vec<ContainerId> = vec![scene.neighbour.id.clone()];
    live.extend(lives.then(|| scene.victim.id.clone()));
    let restored = networks.restore(&live.iter().cloned().collect()).unwrap();
    assert!(restored.broken.is_empty(), "{when}: {restored:?}");
    let kept = world.records.load().unwrap();
    // Rows, links and namespaces are of those who live, and of nobody else.
    assert_eq!(kept.sandboxes.len(), live.len(), "{when}");
    assert!(kept.endpoints.iter().all(|endpoint| live.contains(&endpoint.container)), "{when}");
    assert_eq!(std::fs::read_dir(world.dir.path().join("netns")).unwrap().count(), live.len(), "{when}");
    let links = Socket::open(Service::Route).unwrap().links().unwrap();
    let bridges = links.iter().filter(|link| link.kind == "bridge").count();
    let networks_with_one = kept.networks.iter().filter(|network| !network.interface.is_empty()).count();
    assert_eq!(bridges, networks_with_one, "{when}: {links:?}");
    for endpoint in &kept.endpoints {
        assert!(links.iter().any(|link| link.name == endpoint.host_interface), "{when}: {endpoint:?}");
    }
    // As many translations as published ports.
    let mut nft = Socket::open(Service::Netfilter).unwrap();
    let translations = nft.elements(firewall::rules::TABLE, "port4_any").unwrap().len();
    let ipv4 = |endpoint: &Endpoint| endpoint.ports.iter().filter(|port| port.host_ip.is_ipv4()).count();
    assert_eq!(translations, kept.endpoints.iter().map(ipv4).sum::<usize>(), "{when}");
    call(&world.client, ip(HOST), WEB).unwrap_or_else(|error| panic!("{when}: {error}"));
    let victim = networks.endpoints_of(&scene.victim.id);
    let published = victim.iter().any(|endpoint| !endpoint.ports.is_empty());
    assert_eq!(call(&world.client, ip(HOST), PORT).is_ok(), published, "{when}: {victim:?}");
    // The verb, or its like, goes through now.
    if !networks.list().iter().any(|network| network.name == "new") {
        networks.create(NetworkSpec { name: "new".into(), ..NetworkSpec::default() }).unwrap();
    }
    networks.remove("new").unwrap();
    networks.remove_sandbox(&scene.victim.id).unwrap();
    let spec = world.spec("next", victims_port());
    let id = spec.container.clone();
    networks.create_sandbox(spec).unwrap();
    networks.connect(&id, &[endpoint("app")]).unwrap_or_else(|error| panic!("{when}: {error}"));
    networks.remove_sandbox(&id).unwrap();
    networks.shutdown(true).unwrap();
}

fn every_kill(verb: Verb, lives: bool) {
    for kind in DAMAGES {
        for written in [false, true] {
            let points = (0..10).take_while(|write| killed_at(verb, lives, *write, written, kind)).count();
            assert!((1..10).contains(&points), "a verb writes something, and ends: {points}");
        }
    }
}

#[test]
fn a_network_that_is_made_or_removed_stands_wholly_or_is_gone() {
    every_kill(create, true);
    every_kill(remove, true);
}

#[test]
fn who_joins_or_leaves_a_network_is_on_it_or_not() {
    every_kill(join, true);
    every_kill(leave, true);
}

#[test]
fn who_was_starting_or_stopping_leaves_nothing() {
    every_kill(start, true);
    every_kill(stop, false);
}
