//! One container takes another's published ports, on good days and on bad ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gantry_network::*;

use crate::machines::*;

/// A container that waits for another's ports.
fn heir(world: &World, networks: &Networks, name: &str, holder: &Container) -> Container {
    let spec = SandboxSpec { heir_of: Some(holder.id.clone()), ..world.spec(name, web()) };
    stand(networks, spec)
}

fn stand(networks: &Networks, spec: SandboxSpec) -> Container {
    let id = spec.container.clone();
    let sandbox = networks.create_sandbox(spec).unwrap();
    let endpoints = networks.connect(&id, &[endpoint("bridge")]).unwrap();
    let namespace = gantry_netlink::Namespace::at(&sandbox.path.unwrap()).unwrap();
    Container { id, namespace, endpoints }
}

#[test]
fn an_heir_takes_the_ports_of_who_holds_them_and_no_call_is_refused() {
    for backend in [Firewall::Nftables, Firewall::Iptables] {
        on_host_with(
            |config| config.firewall = backend,
            |world| {
                let old = world.run("old", "bridge", web());
                old.serve(80);
                let new = heir(world, &world.networks, "new", &old);
                new.serve(80);
                assert!(world.networks.ports_of(&new.id).is_empty(), "it waits");
                assert!(world.networks.has_heir(&old.id) && !world.networks.has_heir(&new.id));
                let (done, called) = (AtomicBool::new(false), AtomicUsize::new(0));
                std::thread::scope(|scope| {
                    let calls = scope.spawn(|| {
                        while !done.load(Ordering::Relaxed) {
                            call(&world.client, ip(HOST), WEB).expect("somebody answers at any moment");
                            called.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                    patiently(|| called.load(Ordering::Relaxed) > 0 || calls.is_finished());
                    assert!(world.networks.hand_over(&old.id).unwrap());
                    world.networks.remove_sandbox(&old.id).unwrap();
                    call(&host(), ip("127.0.0.1"), WEB).unwrap();
                    done.store(true, Ordering::Relaxed);
                    calls.join().unwrap();
                });
                assert_eq!(world.networks.ports_of(&new.id)[0].host_port, WEB);
                assert!(!world.networks.hand_over(&old.id).unwrap(), "there is nothing left to hand over");
                // A holder that dies without a word leaves its ports to the heir as well.
                let last = heir(world, &world.networks, "last", &new);
                last.serve(80);
                world.networks.remove_sandbox(&new.id).unwrap();
                call(&world.client, ip(HOST), WEB).unwrap();
                assert!(
                    std::net::TcpListener::bind(("0.0.0.0", WEB)).is_err(),
                    "kept from the host's programs"
                );
                world.networks.remove_sandbox(&last.id).unwrap();
                assert!(call(&world.client, ip(HOST), WEB).is_err());
                patiently(|| std::net::TcpListener::bind(("0.0.0.0", WEB)).is_ok());
            },
        );
    }
}

/// Rows on a disk that may be full.
struct Disk {
    rows: Arc<Memory>,
    full: AtomicBool,
}

impl Records for Disk {
    fn load(&self) -> Result<Kept, RecordsError> {
        self.rows.load()
    }

    fn write(&self, changes: &[Change]) -> Result<(), RecordsError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(RecordsError("No space left on device".into()));
        }
        self.rows.write(changes)
    }
}

/// Who has the port: in memory, in what a packet meets, and for the host's programs.
#[track_caller]
fn served_by_alone(world: &World, networks: &Networks, who: &Container, others: &[&Container]) {
    let seen = call(&world.client, ip(HOST), WEB).expect("the port leads somewhere");
    assert_eq!(seen, ip(CLIENT));
    assert_eq!(networks.ports_of(&who.id).first().map(|port| port.host_port), Some(WEB));
    for other in others {
        assert!(networks.ports_of(&other.id).is_empty(), "the port is in one place");
    }
    assert!(std::net::TcpListener::bind(("0.0.0.0", WEB)).is_err(), "kept from the host's programs");
}

#[test]
fn a_full_disk_at_a_hand_over_loses_no_port_and_doubles_none() {
    for backend in [Firewall::Nftables, Firewall::Iptables] {
        on_host(|world| {
            world.networks.shutdown(true).unwrap();
            let disk = Arc::new(Disk { rows: Arc::clone(&world.records), full: AtomicBool::new(false) });
            let open = || {
                let mut config = config(world.dir.path(), &world.runtime);
                config.firewall = backend;
                Networks::open(config, Arc::clone(&disk) as Arc<dyn Records>).unwrap()
            };
            let networks = open();
            let old = stand(&networks, world.spec("old", web()));
            let new = heir(world, &networks, "new", &old);
            old.serve(80);
            served_by_alone(world, &networks, &old, &[&new]);

            disk.full.store(true, Ordering::Relaxed);
            let told = networks.hand_over(&old.id).unwrap_err().to_string();
            assert!(told.contains("No space left on device"), "{told}");
            served_by_alone(world, &networks, &old, &[&new]);
            // The new one does not serve yet: who answers is seen by this.
            assert!(networks.remove_sandbox(&old.id).is_err());
            assert!(call(&world.client, ip(HOST), WEB).is_err(), "nothing leads to the old one");
            new.serve(80);
            served_by_alone(world, &networks, &new, &[]);

            // Nothing of it is in the rows; the engine dies, and there is room again.
            networks.shutdown(false).unwrap();
            disk.full.store(false, Ordering::Relaxed);
            let networks = open();
            let restored = networks.restore(&[new.id.clone()].into()).unwrap();
            assert!(restored.broken.is_empty(), "{restored:?}");
            served_by_alone(world, &networks, &new, &[]);
            let rows = world.records.load().unwrap();
            assert_eq!(rows.endpoints.len(), 1, "and the rows say so");
            assert_eq!(rows.endpoints[0].ports.first().map(|port| port.host_port), Some(WEB));

            networks.remove_sandbox(&new.id).unwrap();
            patiently(|| std::net::TcpListener::bind(("0.0.0.0", WEB)).is_ok());
            networks.shutdown(true).unwrap();
        });
    }
}

#[test]
fn a_hand_over_that_a_program_of_the_host_hinders_is_taken_back_whole() {
    on_host(|world| {
        // A long run is not kept from the host's programs.
        let both = || vec![web().remove(0), publish(None, HostPort::From(20000), 20000, 100)];
        let old = world.run("old", "bridge", both());
        old.serve(80);
        let spec = SandboxSpec { heir_of: Some(old.id.clone()), ..world.spec("new", both()) };
        let new = stand(&world.networks, spec);
        let program = std::net::TcpListener::bind(("0.0.0.0", 20050)).unwrap();
        let told = world.networks.hand_over(&old.id).unwrap_err().to_string();
        assert!(told.contains("20050") && told.contains("address already in use"), "{told}");
        served_by_alone(world, &world.networks, &old, &[&new]);
        drop(program);
        assert!(world.networks.hand_over(&old.id).unwrap(), "nothing of the first attempt is in the way");
        new.serve(80);
        served_by_alone(world, &world.networks, &new, &[&old]);
    });
}

#[test]
fn a_restart_of_who_holds_the_ports_leaves_its_heir_waiting() {
    on_host(|world| {
        let old = world.run("old", "bridge", web());
        let new = heir(world, &world.networks, "new", &old);
        world.networks.rest_sandbox(&old.id).unwrap();
        assert!(world.networks.ports_of(&new.id).is_empty());
        let spec = SandboxSpec { container: old.id.clone(), ..world.spec("old", web()) };
        let spec = SandboxSpec { files: None, ..spec };
        let again = stand(&world.networks, spec);
        again.serve(80);
        served_by_alone(world, &world.networks, &again, &[&new]);
        assert!(world.networks.has_heir(&old.id));
        world.networks.remove_sandbox(&old.id).unwrap();
        new.serve(80);
        served_by_alone(world, &world.networks, &new, &[]);
    });
}
